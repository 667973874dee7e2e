import {deflate} from 'pako';

import {concat, utf8} from '../utils/bytes';
import {crc32} from '../utils/crc';

/**
 * A picture of pure black and white from one byte per pixel (0 or 1). One bit per pixel:
 * eight times less to compress than the usual format, and it can hold no grey.
 */
export function encodeMask(pixels: Uint8Array, width: number, height: number): Uint8Array<ArrayBuffer> {
  const stride = Math.ceil(width / 8) + 1;
  const raw = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    // The first byte of a row names its filter: 0, none.
    let at = y * stride + 1;
    const row = y * width;
    const whole = width & ~7;
    let x = 0;
    for (; x < whole; x += 8) {
      const i = row + x;
      raw[at++] =
        (pixels[i]! << 7) | (pixels[i + 1]! << 6) | (pixels[i + 2]! << 5) | (pixels[i + 3]! << 4) |
        (pixels[i + 4]! << 3) | (pixels[i + 5]! << 2) | (pixels[i + 6]! << 1) | pixels[i + 7]!;
    }
    for (let bit = 7; x < width; x++, bit--) raw[at]! |= pixels[row + x]! << bit;
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 1;
  // Runs are all a mask has; looking only for them (strategy 3) is fastest.
  const data = deflate(raw, {strategy: 3, level: 6});
  return concat([
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    block('IHDR', header),
    block('IDAT', data),
    block('IEND', new Uint8Array(0)),
  ]);
}

function block(name: string, data: Uint8Array): Uint8Array {
  const body = concat([utf8(name), data]);
  const out = new Uint8Array(body.length + 8);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  out.set(body, 4);
  view.setUint32(body.length + 4, crc32(body));
  return out;
}

/** Width and height of a PNG, JPEG or WebP, from its first bytes; null when unknown. */
export function pictureSize(bytes: Uint8Array): {width: number; height: number} | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 24 && bytes[0] === 0x89 && bytes[1] === 0x50) {
    return {width: view.getUint32(16), height: view.getUint32(20)};
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) {
    for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + view.getUint16(at + 2)) {
      const marker = bytes[at + 1]!;
      // The frame headers; C4, C8 and CC are tables.
      if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
        return {width: view.getUint16(at + 7), height: view.getUint16(at + 5)};
      }
    }
  }
  return null;
}
