/** Markdown as far as chat models write it. */
export type Inline =
  | {kind: 'text'; text: string}
  | {kind: 'strong' | 'emphasis' | 'strike'; children: Inline[]}
  | {kind: 'code'; text: string}
  | {kind: 'link'; href: string; children: Inline[]}
  | {kind: 'break'};

export type Block =
  | {kind: 'paragraph'; children: Inline[]}
  | {kind: 'heading'; level: number; children: Inline[]}
  | {kind: 'code'; language: string; text: string}
  | {kind: 'quote'; children: Block[]}
  | {kind: 'list'; ordered: boolean; start: number; items: Block[][]}
  | {kind: 'table'; align: ('left' | 'center' | 'right' | null)[]; head: Inline[][]; rows: Inline[][][]}
  | {kind: 'rule'};

const fence = /^( {0,3})(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const listItem = /^( *)([-*+]|\d{1,9}[.)])( +(.*)|)$/;
const tableRule = /^ *\|? *:?-+:? *(\| *:?-+:? *)*\|? *$/;

/** Never fails, also in the middle of a stream: an open fence runs to the end. */
export function parseMarkdown(source: string): Block[] {
  return blocks(source.replace(/\r\n?/g, '\n').replace(/\t/g, '    ').split('\n'), 0);
}

function blocks(lines: readonly string[], depth: number): Block[] {
  const out: Block[] = [];
  let paragraph: string[] = [];
  const flush = () => {
    if (paragraph.length > 0) out.push({kind: 'paragraph', children: inlines(paragraph.join('\n'))});
    paragraph = [];
  };
  // Quotes of quotes of quotes: past this depth it is text, so that no input exhausts the stack.
  const nest = depth < 8;
  let i = 0;
  while (i < lines.length) {
    const line = lines[i]!;
    const open = fence.exec(line);
    if (open) {
      flush();
      const mark = open[2]!;
      const body: string[] = [];
      i++;
      while (i < lines.length && !isClosing(lines[i]!, mark)) body.push(unindent(lines[i++]!, open[1]!.length));
      i++;
      out.push({kind: 'code', language: open[3] ?? '', text: body.join('\n')});
      continue;
    }
    if (line.trim() === '') {
      flush();
      i++;
      continue;
    }
    const heading = /^ {0,3}(#{1,6})(?: +(.*?))?(?: +#+)? *$/.exec(line);
    if (heading) {
      flush();
      out.push({kind: 'heading', level: heading[1]!.length, children: inlines(heading[2] ?? '')});
      i++;
      continue;
    }
    if (/^ {0,3}([-*_])( *\1){2,} *$/.test(line)) {
      flush();
      out.push({kind: 'rule'});
      i++;
      continue;
    }
    if (nest && /^ {0,3}>/.test(line)) {
      flush();
      const quoted: string[] = [];
      while (i < lines.length && /^ {0,3}>/.test(lines[i]!)) quoted.push(lines[i++]!.replace(/^ {0,3}> ?/, ''));
      out.push({kind: 'quote', children: blocks(quoted, depth + 1)});
      continue;
    }
    const item = listItem.exec(line);
    if (nest && item && item[1]!.length <= 3) {
      flush();
      const [list, next] = readList(lines, i, depth);
      out.push(list);
      i = next;
      continue;
    }
    if (line.includes('|') && i + 1 < lines.length && tableRule.test(lines[i + 1]!) && lines[i + 1]!.includes('-')) {
      const head = cells(line);
      const align = cells(lines[i + 1]!).map(alignment);
      if (head.length === align.length) {
        flush();
        const rows: Inline[][][] = [];
        i += 2;
        while (i < lines.length && lines[i]!.includes('|') && lines[i]!.trim() !== '') {
          const row = cells(lines[i++]!);
          rows.push(head.map((_, column) => inlines(row[column] ?? '')));
        }
        out.push({kind: 'table', align, head: head.map(inlines), rows});
        continue;
      }
    }
    paragraph.push(line);
    i++;
  }
  flush();
  return out;
}

function readList(lines: readonly string[], from: number, depth: number): [Block, number] {
  const first = listItem.exec(lines[from]!)!;
  const ordered = /\d/.test(first[2]!);
  const indent = first[1]!.length;
  const items: Block[][] = [];
  let i = from;
  while (i < lines.length) {
    const item = listItem.exec(lines[i]!);
    if (!item || item[1]!.length > indent + 1 || item[1]!.length < indent || /\d/.test(item[2]!) !== ordered) break;
    const inner = item[1]!.length + item[2]!.length + 1;
    const body = [item[4] ?? ''];
    i++;
    while (i < lines.length) {
      const line = lines[i]!;
      const spaces = line.length - line.trimStart().length;
      if (line.trim() === '') {
        const next = lines[i + 1];
        if (next === undefined || next.trim() === '' || next.length - next.trimStart().length < 2) break;
        body.push('');
      } else if (spaces >= Math.min(inner, indent + 2)) {
        body.push(unindent(line, inner));
      } else if (listItem.test(line) || fence.test(line) || /^ {0,3}(#|>)/.test(line)) {
        break;
      } else {
        body.push(line.trimStart());
      }
      i++;
    }
    items.push(blocks(body, depth + 1));
    let next = i;
    while (next < lines.length && lines[next]!.trim() === '') next++;
    const following = next < lines.length ? listItem.exec(lines[next]!) : null;
    if (following && following[1]!.length === indent && /\d/.test(following[2]!) === ordered) i = next;
  }
  return [{kind: 'list', ordered, start: ordered ? parseInt(first[2]!, 10) : 1, items}, i];
}

function isClosing(line: string, mark: string): boolean {
  const trimmed = line.trim();
  return trimmed.length >= mark.length && trimmed.split('').every((c) => c === mark[0]);
}

function unindent(line: string, by: number): string {
  const spaces = line.length - line.trimStart().length;
  return line.slice(Math.min(by, spaces));
}

function cells(line: string): string[] {
  const inner = line.trim().replace(/^\|/, '').replace(/(?<!\\)\|$/, '');
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, '|'));
}

function alignment(cell: string): 'left' | 'center' | 'right' | null {
  if (cell.startsWith(':')) return cell.endsWith(':') ? 'center' : 'left';
  return cell.endsWith(':') ? 'right' : null;
}

const patterns: {pattern: RegExp; make(match: RegExpExecArray): Inline}[] = [
  {pattern: /\\([!-/:-@[-`{-~])/y, make: (m) => ({kind: 'text', text: m[1]!})},
  {pattern: /(`+)(?!`)([^]*?[^`])\1(?!`)/y, make: (m) => ({kind: 'code', text: m[2]!.replace(/^ (.*) $/, '$1')})},
  {pattern: /\*\*(?=\S)([^]*?\S)\*\*/y, make: (m) => ({kind: 'strong', children: inlines(m[1]!)})},
  {pattern: /__(?=\S)([^]*?\S)__(?!\w)/y, make: (m) => ({kind: 'strong', children: inlines(m[1]!)})},
  {pattern: /~~(?=\S)([^]*?\S)~~/y, make: (m) => ({kind: 'strike', children: inlines(m[1]!)})},
  {pattern: /\*(?=[^\s*])([^]*?[^\s*])\*(?!\*)/y, make: (m) => ({kind: 'emphasis', children: inlines(m[1]!)})},
  {pattern: /_(?=[^\s_])([^]*?[^\s_])_(?!\w)/y, make: (m) => ({kind: 'emphasis', children: inlines(m[1]!)})},
  {
    pattern: /\[([^\]\n]+)\]\(\s*<?([^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)>?(?:\s+"[^"]*")?\s*\)/y,
    make: (m) => link(m[2]!, inlines(m[1]!)),
  },
  {pattern: /<(https?:\/\/[^\s<>]+)>/y, make: (m) => link(m[1]!, [{kind: 'text', text: m[1]!}])},
  {pattern: /https?:\/\/[^\s<>()[\]]*[^\s<>()[\].,;:!?'"*_]/y, make: (m) => link(m[0], [{kind: 'text', text: m[0]}])},
  {pattern: /( {2,}|\\)\n/y, make: () => ({kind: 'break'})},
];

export function inlines(text: string): Inline[] {
  const out: Inline[] = [];
  let plain = '';
  const flush = () => {
    if (plain !== '') out.push({kind: 'text', text: plain});
    plain = '';
  };
  let at = 0;
  while (at < text.length) {
    // Only these characters can begin anything; everything else is copied.
    if (!'\\`*_~[<h \n'.includes(text[at]!)) {
      plain += text[at++];
      continue;
    }
    // `_` inside a word is part of the word.
    const inWord = text[at] === '_' && /\w/.test(text[at - 1] ?? '');
    let matched = false;
    for (const {pattern, make} of inWord ? [] : patterns) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (match === null) continue;
      const node = make(match);
      if (node.kind === 'text') plain += node.text;
      else {
        flush();
        out.push(node);
      }
      at += match[0].length;
      matched = true;
      break;
    }
    if (!matched) plain += text[at++] === '\n' ? '\n' : text[at - 1];
  }
  flush();
  return out;
}

/** Only addresses that open a page or a mail: a model may write anything. */
function link(href: string, children: Inline[]): Inline {
  if (/^(https?:|mailto:)/i.test(href)) return {kind: 'link', href, children};
  return children.length === 1 ? children[0]! : {kind: 'emphasis', children};
}

/** The words alone, to be read aloud: no signs, no code. */
export function spoken(source: string): string {
  const say = (nodes: readonly Inline[]): string =>
    nodes
      .map((node) => {
        if (node.kind === 'text' || node.kind === 'code') return node.text;
        return node.kind === 'break' ? '\n' : say(node.children);
      })
      .join('');
  const read = (block: Block): string => {
    switch (block.kind) {
      case 'paragraph':
      case 'heading':
        return say(block.children);
      case 'quote':
        return block.children.map(read).join('\n');
      case 'list':
        return block.items.map((item) => item.map(read).join('\n')).join('\n');
      case 'table':
        return [block.head, ...block.rows].map((row) => row.map(say).join(', ')).join('\n');
      default:
        return '';
    }
  };
  return parseMarkdown(source).map(read).filter((text) => text !== '').join('\n');
}
