// What the scripts send, and how they say how it went.
import {deflateSync, crc32} from 'node:zlib'

export const base = process.env.BASE
export const keyless = process.env.KIND === 'keyless'

// What an answer to `one two three` holds: the stand-in upstream says it again, the platform's own says what it is.
export const said = keyless ? 'No language model runs here' : 'one two three'
// A change that whoever answers understands.
export const change = keyless ? 'make it brighter' : 'grass'

// A model of the stand-in upstream; without one the platform's own answers.
export const model = name => (keyless ? 'dummy' : `acme/${name}`)

export const assert = (holds, message) => {
  if (!holds) throw new Error(typeof message === 'string' ? message : JSON.stringify(message))
}

const table = Array.from({length: 256}, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
  return n >>> 0
})
const sum = crc32 ?? (bytes => (bytes.reduce((crc, byte) => table[(crc ^ byte) & 255] ^ (crc >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0)

// A PNG of RGBA pixels.
export const png = (width, height, pixel) => {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(data.length)
    body.copy(out, 4)
    out.writeUInt32BE(sum(body) >>> 0, body.length + 4)
    return out
  }
  const rows = Buffer.alloc(height * (width * 4 + 1))
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) Buffer.from(pixel(x, y)).copy(rows, y * (width * 4 + 1) + 1 + x * 4)
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 6, 0, 0, 0])
  head.writeUInt32BE(width)
  head.writeUInt32BE(height, 4)
  const mark = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10])
  return Buffer.concat([mark, chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))])
}

export const picture = () => png(64, 64, (x, y) => [x * 3, y * 3, 90, 255])
export const mask = () => png(64, 64, x => [0, 0, 0, x < 32 ? 0 : 255])

export const recording = () => {
  const samples = 8000
  const out = Buffer.alloc(44 + samples * 2)
  out.write('RIFF', 0)
  out.writeUInt32LE(36 + samples * 2, 4)
  out.write('WAVEfmt ', 8)
  out.writeUInt32LE(16, 16)
  out.writeUInt16LE(1, 20)
  out.writeUInt16LE(1, 22)
  out.writeUInt32LE(16000, 24)
  out.writeUInt32LE(32000, 28)
  out.writeUInt16LE(2, 32)
  out.writeUInt16LE(16, 34)
  out.write('data', 36)
  out.writeUInt32LE(samples * 2, 40)
  for (let i = 0; i < samples; i++) out.writeInt16LE(((i * 37) % 2000) * 8 - 8000, 44 + i * 2)
  return out
}

export const isPng = (bytes, width, height) => {
  assert(bytes.subarray(1, 4).toString() === 'PNG', 'no PNG')
  assert(bytes.readUInt32BE(16) === width && bytes.readUInt32BE(20) === height, 'another size')
}

export const run = async steps => {
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step()
      console.log(`ok      ${name}`)
    } catch (error) {
      process.exitCode = 1
      console.log(`FAILED  ${name}: ${error?.stack ?? error}`)
    }
  }
}
