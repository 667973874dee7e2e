/** A short name nobody else has. Not a secret. */
export function newId(random: () => number = Math.random): string {
  let id = Date.now().toString(36);
  while (id.length < 20) {
    id += Math.floor(random() * 36).toString(36);
  }
  return id;
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(0)} KB`;
  const megabytes = bytes / 1024 / 1024;
  return `${megabytes.toFixed(Number.isInteger(megabytes) ? 0 : 1)} MB`;
}

/** `1:05`, `1:01:05`. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** Lower case, no accents, one space: what searching compares. */
export function fold(text: string): string {
  return text
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '')
    .toLowerCase()
    .replace(/\s+/g, ' ')
    .trim();
}

/** The first line of a text, cut at a word near `max`. */
export function titleOf(text: string, max = 48): string {
  const line = text.trim().split('\n')[0]?.trim() ?? '';
  if (line.length <= max) return line;
  const cut = line.slice(0, max);
  const space = cut.lastIndexOf(' ');
  return `${(space > max / 2 ? cut.slice(0, space) : cut).trimEnd()}…`;
}

/** The largest size within `side` that keeps the shape; never larger than it was. */
export function fitWithin(width: number, height: number, side: number): {width: number; height: number} {
  const scale = Math.min(1, side / Math.max(width, height));
  return {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  };
}

/** Keeps its own direction inside a text of the other: "9 KB" in an Arabic sentence (Unicode's isolates; nobody sees them). */
export function apart(text: string | number): string {
  return `\u2068${text}\u2069`;
}

/** What there is to say about a thing, on one line, each part in its own direction. */
export function inOneLine(parts: readonly (string | number | false | null | undefined)[]): string {
  return parts.filter(Boolean).map((part) => apart(part as string | number)).join(' · ');
}
