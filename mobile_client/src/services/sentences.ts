/**
 * Cuts a text that is still being written into sentences, each as soon as it is complete,
 * so that it can be spoken while the rest is on its way.
 */
export class SentenceCutter {
  private rest = '';

  constructor(private readonly maxChars = 400) {}

  push(text: string): string[] {
    this.rest += text;
    const out: string[] = [];
    for (;;) {
      const end = sentenceEnd(this.rest, this.maxChars);
      if (end === null) return out;
      const sentence = this.rest.slice(0, end).trim();
      this.rest = this.rest.slice(end);
      if (/[\p{L}\p{N}]/u.test(sentence)) out.push(sentence);
    }
  }

  end(): string[] {
    const last = this.rest.trim();
    this.rest = '';
    return /[\p{L}\p{N}]/u.test(last) ? [last] : [];
  }
}

const abbreviations = /(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|e\.g|i\.e|z\.B|bzw|ca|vs|etc|no|nr|\p{L}|\d+)\.$/iu;

function sentenceEnd(text: string, maxChars: number): number | null {
  // Signs of languages that put no space after them end a sentence at once; the others need the
  // space, which also shows that the number or the name is over.
  const ends = /[。！？]|[.!?…؟]+["'”’)\]]*(?=\s)|\n+/gu;
  for (let match = ends.exec(text); match !== null; match = ends.exec(text)) {
    const end = match.index + match[0].length;
    if (match[0].startsWith('.') && abbreviations.test(text.slice(0, match.index + 1))) continue;
    return end;
  }
  if (text.length <= maxChars) return null;
  const space = text.lastIndexOf(' ', maxChars);
  return space > 0 ? space : maxChars;
}
