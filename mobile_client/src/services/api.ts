import {timing, type Capability} from '../utils/constants';
import {fromUtf8} from '../utils/bytes';
import {type Call, type ChatWish, chatCall} from './calls';
import {type Problem, ProblemError, platformError, problem, problemOfAnswer, problemOfThrown} from './problem';
import {type Backoff, type Clock, retrying} from './retry';
import {type ServerEvent, SseParser} from './sse';

/** What we send, open to interceptors before it goes. */
export type Outgoing = {method: 'GET' | 'POST'; url: string; headers: Record<string, string>};
/** What came back, shown to interceptors before it is read. */
export type Incoming = {outgoing: Outgoing; status: number; header(name: string): string | null; durationMs: number};

export type Interceptor = {
  request?(outgoing: Outgoing): Outgoing | Promise<Outgoing>;
  response?(incoming: Incoming): void;
};

/** An answer of a model, and who gave it. */
export type Answer = {
  bytes: Uint8Array<ArrayBuffer>;
  type: string;
  model: string | null;
  provider: string | null;
  /** The server said that a stand-in answered, not a real model. */
  placeholder: boolean;
  requestId: string | null;
};

export type ChatPiece =
  | {state: 'piece'; text: string}
  | {state: 'done'; model: string | null; tokens: number | null; placeholder: boolean};

export type ApiOptions = {
  fetch: typeof globalThis.fetch;
  /** Asked at every request, so that another server takes effect at once. */
  server(): {address: string; headers: Record<string, string>; token: string | null};
  interceptors?: Interceptor[];
  rule?: Backoff;
  clock?: Clock;
  timeoutMs?: number;
};

export type SendOptions = {signal?: AbortSignal; key?: string; retry?: boolean; timeoutMs?: number};

export type Api = ReturnType<typeof createApi>;

export function createApi(options: ApiOptions) {
  const interceptors = [...(options.interceptors ?? [])];

  /** One exchange, headers only; the caller reads the body before `done` is called. */
  async function exchange(
    method: 'GET' | 'POST',
    path: string,
    init: {body?: Uint8Array<ArrayBuffer>; headers?: Record<string, string>} & SendOptions,
  ): Promise<{response: Response; done(): void; signal: AbortSignal; problemOf(thrown: unknown): Problem}> {
    const server = options.server();
    let outgoing: Outgoing = {
      method,
      url: `${server.address.replace(/\/+$/, '')}${path}`,
      headers: {...server.headers, ...init.headers},
    };
    if (server.token !== null && server.token !== '') outgoing.headers.Authorization = `Bearer ${server.token}`;
    if (init.key !== undefined) outgoing.headers['Idempotency-Key'] = init.key;
    for (const interceptor of interceptors) {
      if (interceptor.request) outgoing = await interceptor.request(outgoing);
    }

    const limit = new AbortController();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      limit.abort();
    }, init.timeoutMs ?? options.timeoutMs ?? timing.requestMs);
    const stop = () => limit.abort();
    if (init.signal?.aborted) stop();
    init.signal?.addEventListener('abort', stop);
    const done = () => {
      clearTimeout(timer);
      init.signal?.removeEventListener('abort', stop);
    };
    const problemOf = (thrown: unknown) =>
      late ? problem('timeout') : problemOfThrown(thrown, init.signal?.aborted === true);

    const startedAt = Date.now();
    try {
      const response = await options.fetch(outgoing.url, {
        method,
        headers: outgoing.headers,
        signal: limit.signal,
        ...(init.body !== undefined && {body: init.body}),
      });
      const header = (name: string) => response.headers.get(name);
      for (const interceptor of interceptors) {
        interceptor.response?.({outgoing, status: response.status, header, durationMs: Date.now() - startedAt});
      }
      if (!response.ok) {
        throw new ProblemError(problemOfAnswer({status: response.status, header, body: await response.text()}));
      }
      return {response, done, signal: limit.signal, problemOf};
    } catch (thrown) {
      done();
      throw new ProblemError(problemOf(thrown));
    }
  }

  async function whole(
    method: 'GET' | 'POST',
    path: string,
    init: {body?: Uint8Array<ArrayBuffer>; headers?: Record<string, string>} & SendOptions,
  ): Promise<{response: Response; bytes: Uint8Array<ArrayBuffer>}> {
    // A POST may arrive although its answer was lost. Only with a key can the server tell
    // the second one from a new wish, so only then is it sent again unasked.
    const mayRetry = init.retry !== false && (method === 'GET' || init.key !== undefined);
    return retrying(
      async () => {
        const {response, done, problemOf} = await exchange(method, path, init);
        try {
          return {response, bytes: new Uint8Array(await response.arrayBuffer())};
        } catch (thrown) {
          throw new ProblemError(problemOf(thrown));
        } finally {
          done();
        }
      },
      (what) => mayRetry && what.automatic,
      {...options, ...(init.signal && {signal: init.signal})},
    );
  }

  async function getJson(path: string, init: SendOptions = {}): Promise<unknown> {
    return parsed((await whole('GET', path, init)).bytes);
  }

  return {
    /** Adds what every request passes through. Returns how to take it out again. */
    use(interceptor: Interceptor): () => void {
      interceptors.push(interceptor);
      return () => {
        const at = interceptors.indexOf(interceptor);
        if (at >= 0) interceptors.splice(at, 1);
      };
    },

    /** Whether the backend answers, without waiting long and without retrying. */
    async health(init: SendOptions = {}): Promise<void> {
      const body = await getJson('/health', {timeoutMs: timing.healthMs, retry: false, ...init});
      if (field(body, 'status') !== 'healthy') throw new ProblemError(problem('not-ours'));
    },

    /** Models by capability, as far as the server tells. Empty where it does not. */
    async models(init: SendOptions = {}): Promise<Models> {
      return modelList(await getJson('/models', {retry: false, ...init}));
    },

    async send(call: Call, init: SendOptions = {}): Promise<Answer> {
      const {response, bytes} = await whole('POST', call.path, {
        ...init,
        body: call.body,
        headers: {'Content-Type': call.contentType},
      });
      return answerOf(response, bytes);
    },

    /** The answer in pieces as it is written; in one piece from servers that do not stream. */
    async *chat(wish: ChatWish, init: SendOptions = {}): AsyncGenerator<ChatPiece, void, void> {
      const call = chatCall(wish, true);
      const {response, done, problemOf} = await exchange('POST', call.path, {
        ...init,
        body: call.body,
        headers: {'Content-Type': call.contentType, Accept: 'text/event-stream, application/json'},
      });
      try {
        if (!(response.headers.get('content-type') ?? '').includes('text/event-stream') || !response.body) {
          const bytes = new Uint8Array(await response.arrayBuffer());
          const reply = chatReply(answerOf(response, bytes));
          yield {state: 'piece', text: reply.text};
          yield {state: 'done', model: reply.model, tokens: reply.tokens, placeholder: reply.placeholder};
          return;
        }
        yield* pieces(response.body, response.headers.get('x-model'), isPlaceholder(response));
      } catch (thrown) {
        throw new ProblemError(problemOf(thrown));
      } finally {
        done();
      }
    },
  };
}

async function* pieces(
  body: ReadableStream<Uint8Array>,
  model: string | null,
  placeholder: boolean,
): AsyncGenerator<ChatPiece, void, void> {
  const reader = body.getReader();
  const parser = new SseParser();
  let finished = false;
  try {
    for (;;) {
      const {value, done} = await reader.read();
      const events = done ? parser.end() : parser.push(value);
      for (const event of events) {
        const piece = chatPiece(event, model, placeholder);
        if (piece === null) continue;
        yield piece;
        if (piece.state === 'done') {
          finished = true;
          return;
        }
      }
      if (done) break;
    }
    throw new ProblemError(problem('interrupted'));
  } finally {
    // Stopping in the middle must reach the server: it pays for every token.
    if (!finished) await reader.cancel().catch(() => undefined);
  }
}

/** What one event of a chat stream says; null for what we do not know. */
export function chatPiece(event: ServerEvent, model: string | null, placeholder: boolean): ChatPiece | null {
  if (event.event === 'error') {
    const error = platformError(event.data);
    throw new ProblemError(
      error === null
        ? problem('interrupted')
        : problemOfAnswer({status: error.error === 'timeout' ? 504 : 502, header: () => null, body: event.data}),
    );
  }
  if (event.data === '[DONE]') return {state: 'done', model, tokens: null, placeholder};
  let data: unknown;
  try {
    data = JSON.parse(event.data);
  } catch {
    throw new ProblemError(problem('interrupted'));
  }
  if (field(data, 'done') === true) {
    const tokens = field(data, 'tokens_used');
    const name = field(data, 'model');
    return {
      state: 'done',
      model: typeof name === 'string' ? name : model,
      tokens: typeof tokens === 'number' ? tokens : null,
      placeholder: placeholder || field(data, 'placeholder') === true,
    };
  }
  const text = field(data, 'response');
  return typeof text === 'string' ? {state: 'piece', text} : null;
}

export function chatReply(answer: Answer): {text: string; model: string | null; tokens: number | null; placeholder: boolean} {
  const body = parsed(answer.bytes);
  const text = field(body, 'response');
  if (typeof text !== 'string') throw new ProblemError(problem('not-ours'));
  const model = field(body, 'model');
  const tokens = field(body, 'tokens_used');
  return {
    text,
    model: typeof model === 'string' ? model : answer.model,
    tokens: typeof tokens === 'number' ? tokens : null,
    placeholder: answer.placeholder,
  };
}

export function transcriptReply(answer: Answer): {text: string; language: string | null; confidence: number | null} {
  const body = parsed(answer.bytes);
  const text = field(body, 'text');
  if (typeof text !== 'string') throw new ProblemError(problem('not-ours'));
  const language = field(body, 'language');
  const confidence = field(body, 'confidence');
  return {
    text,
    language: typeof language === 'string' ? language : null,
    confidence: typeof confidence === 'number' ? confidence : null,
  };
}

export function embeddingReply(answer: Answer): {vector: number[]; model: string | null} {
  const body = parsed(answer.bytes);
  const vector = field(body, 'embedding');
  if (!Array.isArray(vector) || vector.length === 0 || !vector.every((x) => typeof x === 'number')) {
    throw new ProblemError(problem('not-ours'));
  }
  const model = field(body, 'model');
  return {vector, model: typeof model === 'string' ? model : answer.model};
}

/** One model of the server's list, and whether it answers now. */
export type Model = {
  name: string;
  /** A stand-in: what it says is made up. */
  placeholder: boolean;
  state: 'served' | 'away' | 'unknown';
};
export type Models = Partial<Record<Capability, Model[]>>;

/** A server's list of models: `{capability: [...]}` of names or of records, or OpenAI's `{data: [...]}`. */
export function modelList(body: unknown): Models {
  const other: Record<string, Capability> = {
    image: 'image', 'edit-image': 'edit-image', edit_image: 'edit-image', image_edit: 'edit-image', 'image-edit': 'edit-image',
    tts: 'tts', stt: 'stt', llm: 'llm', chat: 'llm', embedding: 'embedding', embeddings: 'embedding',
  };
  const found: Models = {};
  const add = (capability: Capability | undefined, entry: unknown) => {
    const name = typeof entry === 'string' ? entry : field(entry, 'id') ?? field(entry, 'model') ?? field(entry, 'name');
    if (capability === undefined || typeof name !== 'string') return;
    const models = (found[capability] ??= []);
    if (models.some((one) => one.name === name)) return;
    const state = field(entry, 'state');
    models.push({
      name,
      placeholder: field(entry, 'placeholder') === true,
      state: state === 'served' ? 'served' : state === 'not_served' || state === 'circuit_open' ? 'away' : 'unknown',
    });
  };
  const outer = field(body, 'capabilities') ?? field(body, 'models') ?? field(body, 'data') ?? body;
  if (Array.isArray(outer)) {
    for (const entry of outer) {
      const capabilities = field(entry, 'capabilities') ?? [field(entry, 'capability') ?? field(entry, 'task')];
      if (!Array.isArray(capabilities)) continue;
      for (const name of capabilities) add(typeof name === 'string' ? other[name] : undefined, entry);
    }
  } else if (outer !== null && typeof outer === 'object') {
    for (const [name, entries] of Object.entries(outer)) {
      const models = Array.isArray(entries) ? entries : field(entries, 'models');
      if (Array.isArray(models)) for (const entry of models) add(other[name], entry);
    }
  }
  return found;
}

function answerOf(response: Response, bytes: Uint8Array<ArrayBuffer>): Answer {
  const type = (response.headers.get('content-type') ?? 'application/octet-stream').split(';')[0]!.trim();
  return {
    bytes,
    type,
    model: response.headers.get('x-model'),
    provider: response.headers.get('x-provider'),
    placeholder: isPlaceholder(response) || (type === 'application/json' && field(maybe(bytes), 'placeholder') === true),
    requestId: response.headers.get('x-request-id'),
  };
}

function isPlaceholder(response: Response): boolean {
  return response.headers.get('x-placeholder') === 'true';
}

function parsed(bytes: Uint8Array): unknown {
  const value = maybe(bytes);
  if (value === null || typeof value !== 'object') throw new ProblemError(problem('not-ours'));
  return value;
}

function maybe(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(bytes)) as unknown;
  } catch {
    return null;
  }
}

function field(value: unknown, name: string): unknown {
  return value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[name] : undefined;
}
