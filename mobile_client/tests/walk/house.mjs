// The platform itself, started as a person starts it, and a watcher in front of it that sees what arrives and can be taken
// away as a network can.
import {spawn} from 'node:child_process';
import {existsSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {Agent, createServer, request as send} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const project = new URL('../../..', import.meta.url).pathname;
const binary = process.env.HYBRID_AI ?? join(project, 'target/release/hybrid-ai');
/** What a start may take: without a cache every component is compiled. */
const startMs = 600_000;

/** Starts a program and waits for the address that it says it listens on. */
async function listening(command, args, options) {
  const child = spawn(command, args, {stdio: ['ignore', 'ignore', 'pipe'], ...options});
  let said = '';
  const address = await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${command} did not start: ${said}`)), startMs);
    child.stderr.on('data', (bytes) => {
      said = (said + bytes).slice(-20_000);
      const found = /listening on (http:\/\/\S+?)\/?\s/.exec(said);
      if (found) {
        clearTimeout(late);
        resolve(found[1]);
      }
    });
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${command} ended with ${code}: ${said}`)));
  });
  child.removeAllListeners('exit');
  return {
    address,
    said: () => said,
    end: () =>
      new Promise((resolve) => {
        child.on('exit', resolve);
        child.kill('SIGTERM');
        setTimeout(() => child.kill('SIGKILL'), 10_000).unref();
      }),
  };
}

/** A stand-in for the models' provider: the one of WALK_UPSTREAM, else one of its own. */
export async function startUpstream() {
  if (process.env.WALK_UPSTREAM) return {address: process.env.WALK_UPSTREAM, end: async () => undefined};
  return listening('cargo', ['xtask', 'standin', '--listen', '127.0.0.1:0'], {cwd: project});
}

/** `hybrid-ai`, with `upstream` behind it, or, without one, with no key. */
export async function startPlatform(upstream) {
  if (!existsSync(binary)) throw new Error(`${binary} is missing: cargo build --release`);
  // A folder of its own: the one we are in may hold somebody's settings.
  const cwd = mkdtempSync(join(tmpdir(), 'hybrid-ai-walk-'));
  // Where the host's own tests keep what they compile: it is found by its hash.
  const data = join(project, 'target/test-data');
  mkdirSync(data, {recursive: true});
  const env = {...process.env, HYBRID_DATA_DIR: data};
  for (const name of ['CARGO', 'HF_API_KEY', 'HF_TOKEN', 'PORT', 'ALLOWED_ORIGINS', 'LOG_LEVEL']) delete env[name];
  if (upstream) Object.assign(env, {HF_API_KEY: 'walk', HF_BASE_URL: upstream, HF_HUB_URL: upstream});
  const platform = await listening(binary, ['serve', '--listen', '127.0.0.1:0', '--components', join(project, 'target/components')], {cwd, env});
  return {
    ...platform,
    end: async () => {
      await platform.end();
      rmSync(cwd, {recursive: true, force: true});
    },
  };
}

/**
 * Passes everything on as it is. `seen` has every POST; `deeds` says how often each idempotency key was answered;
 * `reachable` takes the server away.
 */
export async function watch(address) {
  const target = new URL(address);
  const agent = new Agent({keepAlive: true});
  const state = {reachable: true, seen: [], deeds: new Map(), pages: [], canceledChats: 0, lastAudio: null, lastEdit: null, failures: 0};
  const server = createServer(async (request, response) => {
    if (!state.reachable) return request.socket.destroy();
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const {pathname} = new URL(request.url, 'http://x');
    const key = request.headers['idempotency-key'];
    if (request.method === 'POST') note(state, pathname, key, request.headers, body);
    if (state.failures > 0 && request.method === 'POST' && pathname === '/tts') {
      state.failures--;
      response.writeHead(422, {'content-type': 'application/json'});
      return response.end(JSON.stringify({error: 'validation_error', message: '`text` was refused by the walk', details: {text: 'was refused'}, timestamp: '2026-01-01T00:00:00Z'}));
    }
    const onward = send({agent, hostname: target.hostname, port: target.port, method: request.method, path: request.url, headers: request.headers});
    let whole = false;
    response.on('close', () => {
      if (whole) return;
      if (pathname === '/llm') state.canceledChats++;
      onward.destroy();
    });
    onward.on('error', () => response.destroy());
    onward.on('response', (answer) => {
      if (pathname.startsWith('/app')) state.pages.push({pathname, status: answer.statusCode, headers: answer.headers});
      response.writeHead(answer.statusCode, answer.headers);
      answer.on('data', (piece) => response.write(piece));
      answer.on('error', () => response.destroy());
      answer.on('end', () => {
        whole = true;
        if (key && answer.statusCode === 200) state.deeds.set(key, (state.deeds.get(key) ?? 0) + 1);
        response.end();
      });
    });
    onward.end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    state,
    address: `http://127.0.0.1:${server.address().port}`,
    /** Until something about what arrived is so. */
    async until(truth, words, ms = 30_000) {
      const end = Date.now() + ms;
      while (!truth(state)) {
        if (Date.now() > end) throw new Error(words);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    end: () => {
      server.closeAllConnections();
      agent.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function note(state, path, key, headers, body) {
  const text = headers['content-type']?.startsWith('application/json') ? body.toString() : '';
  let json = null;
  try {
    json = JSON.parse(text);
  } catch {
    // A form, or not ours.
  }
  state.seen.push({path, key, headers, bytes: body.length, json});
  if (path === '/stt') state.lastAudio = partOf(body, body.toString('latin1'), 'audio');
  if (path === '/edit-image' && json !== null) {
    state.lastEdit = {image: Buffer.from(json.image, 'base64'), mask: json.mask ? Buffer.from(json.mask, 'base64') : null};
  }
}

function partOf(raw, text, name) {
  const at = text.indexOf(`name="${name}"`);
  if (at < 0) return null;
  const start = text.indexOf('\r\n\r\n', at) + 4;
  return raw.subarray(start, text.indexOf('\r\n--', start));
}
