const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const codes = Uint8Array.from(alphabet, (c) => c.charCodeAt(0));
const values = new Int16Array(128).fill(-1);
for (let i = 0; i < 64; i++) values[alphabet.charCodeAt(i)] = i;
values['-'.charCodeAt(0)] = 62;
values['_'.charCodeAt(0)] = 63;

// Engines limit how many arguments a call may have; 8,190 is far below and a multiple of 6.
const chunk = 8190;

export function toBase64(bytes: Uint8Array): string {
  let out = '';
  const buffer = new Uint8Array(Math.ceil(chunk / 3) * 4);
  for (let start = 0; start < bytes.length; start += chunk) {
    const end = Math.min(start + chunk, bytes.length);
    let n = 0;
    for (let i = start; i < end; i += 3) {
      const a = bytes[i]!;
      const b = i + 1 < end ? bytes[i + 1]! : 0;
      const c = i + 2 < end ? bytes[i + 2]! : 0;
      buffer[n++] = codes[a >> 2]!;
      buffer[n++] = codes[((a & 3) << 4) | (b >> 4)]!;
      buffer[n++] = i + 1 < end ? codes[((b & 15) << 2) | (c >> 6)]! : 61;
      buffer[n++] = i + 2 < end ? codes[c & 63]! : 61;
    }
    out += String.fromCharCode.apply(null, buffer.subarray(0, n) as unknown as number[]);
  }
  return out;
}

/** Throws on text that is not base64. Takes the URL alphabet too. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const clean = text.replace(/[\s=]/g, '');
  const out = new Uint8Array(Math.floor((clean.length * 3) / 4));
  let n = 0;
  let bits = 0;
  let have = 0;
  for (let i = 0; i < clean.length; i++) {
    const code = clean.charCodeAt(i);
    const value = code < 128 ? values[code]! : -1;
    if (value < 0) throw new Error('not base64');
    bits = (bits << 6) | value;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out[n++] = (bits >> have) & 255;
    }
  }
  return out.subarray(0, n);
}

export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text) as Uint8Array<ArrayBuffer>;
}

export function fromUtf8(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** What the first bytes say a file is; names and declared types lie. */
export function sniff(bytes: Uint8Array): string | null {
  const text = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (bytes[0] === 0x89 && text(1, 4) === 'PNG') return 'image/png';
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'image/jpeg';
  if (text(0, 4) === 'GIF8') return 'image/gif';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WEBP') return 'image/webp';
  if (text(0, 4) === 'RIFF' && text(8, 12) === 'WAVE') return 'audio/wav';
  if (text(0, 4) === 'fLaC') return 'audio/flac';
  if (text(0, 4) === 'OggS') return 'audio/ogg';
  if (text(0, 3) === 'ID3') return 'audio/mpeg';
  if (text(4, 8) === 'ftyp') return 'audio/mp4';
  if (bytes[0] === 0x1a && bytes[1] === 0x45 && bytes[2] === 0xdf) return 'audio/webm';
  if (bytes[0] === 0xff && ((bytes[1] ?? 0) & 0xe0) === 0xe0) return 'audio/mpeg';
  return null;
}

/** What files are called by what is in them: files of a phone carry no types of their own. */
const endings: Record<string, string> = {
  'image/png': 'png', 'image/jpeg': 'jpg', 'image/webp': 'webp', 'audio/wav': 'wav', 'audio/mpeg': 'mp3',
  'audio/mp4': 'm4a', 'audio/ogg': 'ogg', 'audio/flac': 'flac', 'audio/webm': 'webm', 'application/json': 'json',
};

export function endingOf(type: string): string {
  return endings[type] ?? 'bin';
}

/** `extension` with its dot. */
export function typeOf(extension: string): string {
  const known = Object.entries(endings).find(([, ending]) => `.${ending}` === extension);
  return known?.[0] ?? 'application/octet-stream';
}
