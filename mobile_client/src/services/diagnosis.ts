import {isAddress} from './settings';
import {platformError} from './problem';

/** What a connection test found. Each finding has words and a way out on the screen. */
export type Finding =
  | {state: 'fine'; ms: number; placeholder: boolean}
  | {state: 'bad-address'}
  /** A page served over HTTPS may not talk to a server without it. */
  | {state: 'mixed-content'}
  /** Nothing answers: wrong name, nothing listens, no network. */
  | {state: 'no-answer'}
  /** Something is there, but the browser may not read it: its CORS rule leaves this page out. */
  | {state: 'cors'; origin: string}
  /** Reachable without encryption only: the certificate is refused. */
  | {state: 'tls'}
  | {state: 'slow'}
  | {state: 'key'}
  /** A server, but not this platform. */
  | {state: 'not-ours'; status: number}
  /** The platform, but of another time: it does not know what this app asks for. */
  | {state: 'version'}
  /** The platform, but it says it is not well. */
  | {state: 'unwell'; status: number};

export type Probe = {
  fetch: typeof globalThis.fetch;
  /** The page's own origin in a browser; null in an app, where no rule of origins holds. */
  origin: string | null;
  timeoutMs?: number;
  now?(): number;
};

/**
 * Finds out what stands between this device and a server, by asking again in ways that fail
 * differently: browsers say only "failed to fetch".
 */
export async function diagnose(
  server: {address: string; headers: Record<string, string>; token: string},
  probe: Probe,
): Promise<Finding> {
  const now = probe.now ?? Date.now;
  if (!isAddress(server.address)) return {state: 'bad-address'};
  const address = server.address.replace(/\/+$/, '');
  const isLocal = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/|$)/.test(address);
  if (probe.origin?.startsWith('https:') && address.startsWith('http:') && !isLocal) return {state: 'mixed-content'};

  const ask = async (url: string, init: RequestInit = {}): Promise<Response | 'failed' | 'late'> => {
    const abort = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      abort.abort();
    }, probe.timeoutMs ?? 8000);
    try {
      return await probe.fetch(url, {...init, signal: abort.signal});
    } catch {
      return late ? 'late' : 'failed';
    } finally {
      clearTimeout(timer);
    }
  };
  const authorised: Record<string, string> = {
    ...server.headers,
    ...(server.token !== '' && {Authorization: `Bearer ${server.token}`}),
  };

  const startedAt = now();
  const answer = await ask(`${address}/health`, {headers: authorised});
  if (answer === 'late') return {state: 'slow'};
  if (answer === 'failed') {
    if (probe.origin !== null && new URL(address).origin !== probe.origin) {
      // An opaque answer cannot be read, but it shows that somebody answered.
      const opaque = await ask(`${address}/health`, {mode: 'no-cors'});
      if (opaque !== 'failed' && opaque !== 'late') return {state: 'cors', origin: probe.origin};
    }
    if (address.startsWith('https:') && probe.origin === null) {
      const plain = await ask(`http:${address.slice(6)}/health`);
      if (plain !== 'failed' && plain !== 'late') return {state: 'tls'};
    }
    return {state: 'no-answer'};
  }
  const ms = now() - startedAt;
  if (answer.status === 401 || answer.status === 403) return {state: 'key'};
  const text = await answer.text().catch(() => '');
  if (!isHealth(text)) {
    const ours = platformError(text) !== null;
    return ours && answer.status >= 500 ? {state: 'unwell', status: answer.status} : {state: 'not-ours', status: answer.status};
  }
  if (!answer.ok) return {state: 'unwell', status: answer.status};

  // `/health` is open to everybody; whether the key is right, only a real request tells.
  const tried = await ask(`${address}/embedding`, {
    method: 'POST',
    // With the key that every request carries: a server may admit the page and not this header.
    headers: {...authorised, 'Content-Type': 'application/json', 'Idempotency-Key': `test-${now()}`},
    body: JSON.stringify({text: 'hello'}),
  });
  if (tried === 'failed') return probe.origin === null ? {state: 'no-answer'} : {state: 'cors', origin: probe.origin};
  if (tried !== 'late' && (tried.status === 401 || tried.status === 403)) return {state: 'key'};
  if (tried !== 'late' && (tried.status === 404 || tried.status === 405)) {
    // A model that nobody serves is 404 too, and says so.
    const told = platformError(await tried.text().catch(() => ''));
    if (told?.error !== 'model_not_found') return {state: 'version'};
  }
  const placeholder = tried !== 'late' && tried.headers.get('x-placeholder') === 'true';
  return {state: 'fine', ms, placeholder};
}

function isHealth(text: string): boolean {
  try {
    return typeof (JSON.parse(text) as {status?: unknown}).status === 'string';
  } catch {
    return false;
  }
}
