// A stand-in for the platform: the plan's seven endpoints over plain HTTP, with nothing behind them.
// It counts what arrives by idempotency key, can be taken away and brought back, and serves the
// web build at /app/ as the host does.
import {createServer} from 'node:http';
import {readFile, stat} from 'node:fs/promises';
import {join, normalize, extname} from 'node:path';
import {deflateSync, crc32 as zlibCrc} from 'node:zlib';

const cors = {
  'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers': 'Content-Type, Authorization, Idempotency-Key',
  'access-control-expose-headers': 'x-request-id, x-model, x-provider, x-attempts, x-fallback-index, x-placeholder, retry-after',
};
const types = {'.html': 'text/html', '.js': 'text/javascript', '.json': 'application/json', '.png': 'image/png', '.ico': 'image/x-icon', '.webmanifest': 'application/manifest+json'};

/** With `backend`, the address of a real platform, it only watches: everything but the page is passed on. */
export async function startStandIn({dist, port = 0, placeholder = false, backend}) {
  const state = {reachable: true, seen: [], deeds: new Map(), chatDelayMs: 30, canceledChats: 0, placeholder};
  let id = 0;

  const server = createServer(async (request, response) => {
    const {pathname} = new URL(request.url, 'http://x');
    if (!state.reachable) return request.socket.destroy();
    const head = {
      ...cors,
      'access-control-allow-origin': request.headers.origin ?? '*',
      'x-request-id': `stand-in-${++id}`,
    };
    const send = (status, body, type = 'application/json', more = {}) => {
      const bytes = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      response.writeHead(status, {...head, 'content-type': type, ...more});
      response.end(bytes);
    };
    const refuse = (status, error, message, details = {}) =>
      send(status, {error, message, details, timestamp: new Date().toISOString().replace(/\.\d+/, '')});

    if (backend && pathname !== '/app' && !pathname.startsWith('/app/')) {
      const raw = await readAll(request);
      if (request.method === 'POST') note(state, pathname, request.headers['idempotency-key'], raw);
      const {host, connection, 'content-length': length, ...headers} = request.headers;
      const abort = new AbortController();
      response.on('close', () => abort.abort());
      try {
        const answer = await fetch(backend + pathname, {method: request.method, headers, signal: abort.signal, ...(raw.length > 0 && {body: raw})});
        const {'content-encoding': encoding, 'content-length': size, 'transfer-encoding': transfer, connection: kept, ...back} = Object.fromEntries(answer.headers);
        response.writeHead(answer.status, back);
        for await (const piece of answer.body ?? []) response.write(piece);
        const key = request.headers['idempotency-key'];
        if (key && answer.ok) state.deeds.set(key, (state.deeds.get(key) ?? 0) + 1);
        return response.end();
      } catch {
        return response.destroy();
      }
    }
    if (request.method === 'OPTIONS') return send(204, '');
    if (pathname === '/health') return send(200, {status: 'healthy', timestamp: new Date().toISOString()});
    if (pathname === '/app' || pathname.startsWith('/app/')) return page(dist, pathname, send);
    if (request.method !== 'POST') return refuse(404, 'not_found', 'no such page');

    const raw = await readAll(request);
    const key = request.headers['idempotency-key'];
    note(state, pathname, key, raw);
    const model = (name) => ({'x-model': name, 'x-provider': 'stand-in', 'x-attempts': '1', 'x-fallback-index': '0', ...(state.placeholder && {'x-placeholder': 'true'})});
    const done = (status, body, type, more) => {
      if (key) state.deeds.set(key, (state.deeds.get(key) ?? 0) + 1);
      send(status, body, type, more);
    };

    if (pathname === '/stt') {
      if (state.lastAudio === null) return refuse(422, 'validation_error', '`audio` is missing', {audio: 'is missing'});
      return done(200, {text: 'The quick brown fox jumps over the lazy dog.', language: 'en', confidence: null, ...(state.placeholder && {placeholder: true})}, 'application/json', model('openai/whisper-base'));
    }
    let body;
    try {
      body = JSON.parse(raw.toString());
    } catch {
      return refuse(400, 'validation_error', 'the body is not JSON');
    }
    switch (pathname) {
      case '/image': {
        if (body.model === 'none/such') return refuse(404, 'model_not_found', 'no model `none/such`');
        return done(200, picture(body.width ?? 512, body.height ?? 512, body.prompt ?? ''), 'image/png', model(body.model ?? 'stabilityai/stable-diffusion-3-medium'));
      }
      case '/edit-image': {
        const {width, height} = sizeOf(state.lastEdit.image);
        return done(200, picture(width, height, body.prompt), 'image/png', model('stabilityai/stable-diffusion-xl-inpainting'));
      }
      case '/tts':
        return done(200, wav(1.2), 'audio/wav', model('espnet/kan-bayashi_ljspeech_vits'));
      case '/embedding': {
        const vector = embed(body.text);
        return done(200, {embedding: vector, dimension: vector.length, model: 'sentence-transformers/all-MiniLM-L6-v2'}, 'application/json', model('sentence-transformers/all-MiniLM-L6-v2'));
      }
      case '/llm': {
        const question = body.messages.at(-1).content;
        const answer = answerTo(question);
        const name = body.model ?? 'meta-llama/Llama-2-7b-chat-hf';
        if (!body.stream) return done(200, {response: answer, model: name, tokens_used: 42}, 'application/json', model(name));
        response.writeHead(200, {...head, ...model(name), 'content-type': 'text/event-stream'});
        let gone = false;
        response.on('close', () => {
          if (!response.writableFinished) {
            gone = true;
            state.canceledChats++;
          }
        });
        for (const piece of answer.match(/[^]{1,6}/gu)) {
          if (gone) return undefined;
          response.write(`data: ${JSON.stringify({response: piece})}\n\n`);
          await new Promise((resolve) => setTimeout(resolve, question.includes('slow') ? 200 : state.chatDelayMs));
        }
        response.end(`data: ${JSON.stringify({done: true, model: name, tokens_used: 42})}\n\n`);
        return undefined;
      }
      default:
        return refuse(404, 'not_found', 'no such page');
    }
  });
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    state,
    address: `http://127.0.0.1:${server.address().port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

/** What the walk wants to look at afterwards. */
function note(state, path, key, raw) {
  state.seen.push({path, key, bytes: raw.length});
  if (path === '/stt') state.lastAudio = partOf(raw, raw.toString('latin1'), 'audio');
  if (path === '/edit-image') {
    const {image, mask} = JSON.parse(raw.toString());
    state.lastEdit = {image: Buffer.from(image, 'base64'), mask: mask ? Buffer.from(mask, 'base64') : null};
  }
}

async function page(dist, pathname, send) {
  const inside = normalize(pathname.replace(/^\/app\/?/, '')).replace(/^(\.\.[/\\])+/, '');
  const file = join(dist, inside);
  const isFile = inside !== '.' && (await stat(file).catch(() => null))?.isFile();
  // Addresses of screens are the page's own business.
  const path = isFile ? file : join(dist, 'index.html');
  send(200, await readFile(path), types[extname(path)] ?? 'application/octet-stream', {
    'cache-control': path.includes('_expo/static') ? 'public, max-age=31536000, immutable' : 'no-cache',
  });
}

async function readAll(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function partOf(raw, text, name) {
  const at = text.indexOf(`name="${name}"`);
  if (at < 0) return null;
  const start = text.indexOf('\r\n\r\n', at) + 4;
  return raw.subarray(start, text.indexOf('\r\n--', start));
}

/** A gradient with rings, different for each prompt. */
export function picture(width, height, prompt) {
  let seed = 7;
  for (const char of prompt) seed = (seed * 31 + char.codePointAt(0)) % 9973;
  const stride = width * 3 + 1;
  const raw = Buffer.alloc(stride * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const ring = Math.sin(Math.hypot(x - width * ((seed % 7) / 7), y - height / 2) / (8 + (seed % 13)));
      const at = y * stride + 1 + x * 3;
      raw[at] = 90 + 90 * ring + (seed % 70);
      raw[at + 1] = (160 * y) / height + (seed % 40);
      raw[at + 2] = 120 + (100 * x) / width;
    }
  }
  const block = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), block('IHDR', head), block('IDAT', deflateSync(raw, {level: 1})), block('IEND', Buffer.alloc(0))]);
}

function crc(bytes) {
  if (zlibCrc) return zlibCrc(bytes);
  let c = 0xffffffff;
  for (const byte of bytes) {
    c ^= byte;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
  }
  return (c ^ 0xffffffff) >>> 0;
}

export function sizeOf(bytes) {
  if (bytes[0] === 0x89) return {width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20)};
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1];
    if (marker >= 0xc0 && marker <= 0xc3) return {width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5)};
  }
  throw new Error('no picture');
}

function wav(seconds) {
  const rate = 16_000;
  const samples = Math.round(rate * seconds);
  const out = Buffer.alloc(44 + samples * 2);
  out.write('RIFF', 0);
  out.writeUInt32LE(36 + samples * 2, 4);
  out.write('WAVEfmt ', 8);
  out.writeUInt32LE(16, 16);
  out.writeUInt16LE(1, 20);
  out.writeUInt16LE(1, 22);
  out.writeUInt32LE(rate, 24);
  out.writeUInt32LE(rate * 2, 28);
  out.writeUInt16LE(2, 32);
  out.writeUInt16LE(16, 34);
  out.write('data', 36);
  out.writeUInt32LE(samples * 2, 40);
  for (let i = 0; i < samples; i++) out.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 330 * i) / rate)), 44 + i * 2);
  return out;
}

/** Nearer for texts that share words. */
function embed(text) {
  const vector = new Array(384).fill(0);
  for (const word of text.toLowerCase().split(/\W+/).filter(Boolean)) {
    let hash = 5381;
    for (const char of word) hash = (hash * 33 + char.codePointAt(0)) >>> 0;
    for (let k = 0; k < 8; k++) vector[(hash >>> (k * 3)) % 384] += 1 - (k % 2) * 0.5;
  }
  const length = Math.hypot(...vector) || 1;
  return vector.map((x) => x / length);
}

function answerTo(question) {
  if (question.includes('slow')) return 'One word after another, and another, and another. '.repeat(20);
  return `You asked: “${question}”.

## A table and some code

| Planet | Moons | Known since |
|:-------|------:|:-----------:|
| Earth  |     1 | always      |
| Mars   |     2 | 1877        |

1. First, **look** at it.
2. Then run \`npm test\`:

\`\`\`ts
export const greet = (name: string): string => \`Hello \${name}, this is a rather long line of code that has to scroll\`;
\`\`\`

> That is all. See [the docs](https://example.org/docs).`;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const standIn = await startStandIn({dist: process.argv[2] ?? 'dist', port: Number(process.env.PORT ?? 8099), placeholder: process.env.PLACEHOLDER === '1'});
  console.log(`listening on ${standIn.address}/app/`);
}
