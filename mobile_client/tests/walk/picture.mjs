// Pictures to hand over, and what there is to know about those that were sent.
import {crc32 as zlibCrc, deflateSync, inflateSync} from 'node:zlib';

/** A gradient with rings as a PNG. */
export function picture(width, height) {
  const stride = width * 3 + 1;
  const raw = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const ring = Math.sin(Math.hypot(x - width * 0.4, y - height / 2) / 15);
      const at = y * stride + 1 + x * 3;
      raw[at] = 120 + 90 * ring;
      raw[at + 1] = 30 + (160 * y) / height;
      raw[at + 2] = 120 + (100 * x) / width;
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), block('IHDR', head), block('IDAT', deflateSync(raw, {level: 1})), block('IEND', Buffer.alloc(0))]);
}

function block(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(crc(body), body.length + 4);
  return out;
}

function crc(bytes) {
  // Node has it from 20.15 on.
  if (zlibCrc) return zlibCrc(bytes);
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

/** Width and height of a PNG or JPEG. */
export function sizeOf(bytes) {
  if (bytes[0] === 0x89) return {width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20)};
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1];
    if (marker >= 0xc0 && marker <= 0xc3) return {width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5)};
  }
  throw new Error('no picture');
}

/** Reads a PNG of one bit per pixel and without filters, as masks are. */
export function readMask(png) {
  const {width, height} = sizeOf(png);
  if (png[24] !== 1 || png[25] !== 0) throw new Error(`the mask has ${png[24]} bits and colour type ${png[25]}`);
  let data = Buffer.alloc(0);
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') data = Buffer.concat([data, png.subarray(at + 8, at + 8 + png.readUInt32BE(at))]);
  }
  const raw = inflateSync(data);
  const stride = Math.ceil(width / 8) + 1;
  return {width, height, at: (x, y) => (raw[Math.floor(y) * stride + 1 + (Math.floor(x) >> 3)] >> (7 - (Math.floor(x) & 7))) & 1};
}
