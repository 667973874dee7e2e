import {concat, utf8} from '../utils/bytes';

export type Part =
  | {name: string; value: string}
  | {name: string; filename: string; type: string; bytes: Uint8Array};

/**
 * A `multipart/form-data` body as plain bytes: the same on every platform, and it can wait on disk.
 */
export function multipart(parts: readonly Part[], boundary: string): {type: string; body: Uint8Array<ArrayBuffer>} {
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    let head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(part.name)}"`;
    if ('bytes' in part) head += `; filename="${quoted(part.filename)}"\r\nContent-Type: ${part.type}`;
    pieces.push(utf8(`${head}\r\n\r\n`), 'bytes' in part ? part.bytes : utf8(part.value), utf8('\r\n'));
  }
  pieces.push(utf8(`--${boundary}--\r\n`));
  return {type: `multipart/form-data; boundary=${boundary}`, body: concat(pieces)};
}

/** As browsers do it: the three characters that would end the name early. */
function quoted(name: string): string {
  return name.replace(/"/g, '%22').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}
