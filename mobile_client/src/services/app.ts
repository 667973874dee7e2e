import {knownModels, limits, timing, type Capability} from '../utils/constants';
import {newId} from '../utils/helpers';
import {endingOf, utf8} from '../utils/bytes';
import {type Answer, chatReply, createApi, embeddingReply, type Model, type Models, transcriptReply} from './api';
import {type Call, embeddingCall} from './calls';
import {createArchive, type Sink} from './archive';
import {createCache} from './cache';
import {createChats} from './chats';
import {requestKey, sha256} from './hash';
import {createLibrary, type Item} from './library';
import {createOutbox, type QueuedJob} from './outbox';
import {pictureSize} from './png';
import {type Problem, ProblemError, problem, problemOfThrown} from './problem';
import {createReachability} from './reachability';
import {type Clock} from './retry';
import {createSearch} from './search';
import {createSettings} from './settings';
import type {Storage} from './storage';
import {createStore, type Store} from './store';
import {wavDurationMs} from './wav';

/** Work in flight: what a screen shows about one request. */
export type Job<T> =
  | {state: 'idle'}
  | {state: 'sending'; since: number; abort: AbortController}
  | {state: 'done'; value: T; fromCache: boolean}
  | {state: 'queued'; id: string}
  | {state: 'refused'; problem: Problem};

/** What happened to a request: answered, or taken into the outbox. */
export type Outcome = {state: 'answered'; answer: Answer; fromCache: boolean; id: string} | {state: 'queued'; job: QueuedJob};

export type LogLine = {at: number; method: string; path: string; status: number | string; durationMs: number; requestId: string | null};

export type Services = ReturnType<typeof createServices>;

/** Everything the screens talk to, put together once. */
export function createServices(options: {
  storage: Storage;
  fetch: typeof globalThis.fetch;
  /** The server the page itself came from; null in an app. */
  home: string | null;
  shrink(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<{bytes: Uint8Array<ArrayBuffer>; type: string} | null>;
  alone?(work: () => Promise<void>): Promise<void>;
  clock?: Clock;
}) {
  const {storage} = options;
  const settings = createSettings({values: storage.values, secrets: storage.secrets, newId});
  const log: Store<readonly LogLine[]> = createStore<readonly LogLine[]>([]);
  const models: Store<Models> = createStore<Models>({});
  /** Vectors of texts on the embeddings screen arrive here, also from the outbox. */
  const embeddings: Store<Readonly<Record<string, number[]>>> = createStore<Readonly<Record<string, number[]>>>({});

  const note = (line: LogLine) => log.update((lines) => [line, ...lines].slice(0, 200));

  const apiFor = (serverOf: () => {address: string; headers: Record<string, string>; token: string | null}) =>
    createApi({
      fetch: options.fetch,
      server: serverOf,
      ...(options.clock && {clock: options.clock}),
      interceptors: [
        {
          response: ({outgoing, status, header, durationMs}) => {
            // Sizes and names only; what was asked and answered is nobody's business.
            const path = outgoing.url.replace(/^[a-z]+:\/\/[^/]*/, '').split('?')[0]!;
            if (path !== '/health' || status !== 200) {
              note({at: Date.now(), method: outgoing.method, path, status, durationMs, requestId: header('x-request-id')});
            }
          },
        },
      ],
    });

  const currentServer = () => {
    const server = settings.current();
    if (server === null) throw new ProblemError(problem('unreachable'));
    return {address: server.address, headers: server.headers, token: settings.token(server.id)};
  };
  const api = apiFor(currentServer);

  const cache = createCache({
    blobs: storage.cache,
    values: storage.values,
    memoryBytes: 32 * 1024 * 1024,
    diskBytes: () => settings.store.get().cacheBytes,
  });
  const library = createLibrary({values: storage.values, media: storage.media, shrink: options.shrink});
  const chats = createChats({values: storage.values, newId});

  const reachability = createReachability({
    check: (signal) => api.health({signal}),
    onReachable: () => {
      void outbox.flush();
      void refreshModels();
    },
  });

  const outbox = createOutbox({
    values: storage.values,
    blobs: storage.outbox,
    newId,
    ...(options.alone && {alone: options.alone}),
    // To the server it was meant for, also when another one is in use by now.
    send: (call, sendOptions, serverId) => {
      const server = settings.store.get().servers.find((one) => one.id === serverId);
      if (server === undefined) throw new ProblemError(problem('unreachable', {retryable: false}));
      const of = {address: server.address, headers: server.headers, token: settings.token(server.id)};
      return apiFor(() => of).send(call, {...sendOptions, retry: false});
    },
    deliver: (job, answer) => deliver(job.id, job.capability, job.title, job.about, job.createdAt, answer),
  });

  /** Puts an answer where a person will look for it. The id decides the place, so twice is once. */
  async function deliver(
    id: string,
    capability: Capability,
    title: string,
    about: Record<string, string | number>,
    createdAt: number,
    answer: Answer,
  ): Promise<void> {
    const base: Omit<Item, 'size' | 'kind'> = {
      id,
      title,
      about,
      createdAt,
      type: answer.type,
      ...(answer.model !== null && {model: answer.model}),
      ...(answer.placeholder && {placeholder: true}),
    };
    switch (capability) {
      case 'image':
      case 'edit-image': {
        if (!answer.type.startsWith('image/')) throw new ProblemError(problem('not-ours'));
        const size = pictureSize(answer.bytes);
        await library.add({...base, kind: capability, ...size}, answer.bytes);
        return;
      }
      case 'tts': {
        if (!answer.type.startsWith('audio/')) throw new ProblemError(problem('not-ours'));
        const durationMs = wavDurationMs(answer.bytes);
        await library.add({...base, kind: 'tts', ...(durationMs !== null && {durationMs})}, answer.bytes);
        return;
      }
      case 'stt': {
        const {text, language} = transcriptReply(answer);
        await library.add(
          {...base, kind: 'stt', text, about: {...about, ...(language !== null && {language})}},
          answer.bytes,
        );
        return;
      }
      case 'llm': {
        const reply = chatReply(answer);
        const chatId = String(about.chat_id ?? '');
        const chat = chats.find(chatId);
        if (chat === undefined || chat.messages.some((message) => message.id === id)) return;
        // After the question it answers; others may have been asked since.
        const at = chat.messages.findIndex((message) => message.id === about.message_id);
        const messages = [...chat.messages];
        messages.splice(at < 0 ? messages.length : at + 1, 0, {
          id,
          role: 'assistant',
          content: reply.text,
          at: Date.now(),
          ...(reply.model !== null && {model: reply.model}),
          ...(reply.placeholder && {placeholder: true}),
        });
        await chats.setMessages(chatId, messages);
        return;
      }
      case 'embedding': {
        const {vector} = embeddingReply(answer);
        embeddings.update((all) => ({...all, [title]: vector}));
        if (!answer.placeholder) await remember(embeddingCall({text: title, model: String(about.model ?? '')}), answer);
        return;
      }
    }
  }

  const serverId = () => settings.current()?.id ?? '';
  const keyOf = (call: Call) => requestKey(settings.current()?.address ?? '', call.path, sha256(call.body));

  async function remember(call: Call, answer: Answer): Promise<void> {
    const about = JSON.stringify({type: answer.type, model: answer.model, provider: answer.provider});
    const head = utf8(`${about}\n`);
    const bytes = new Uint8Array(head.length + answer.bytes.length);
    bytes.set(head);
    bytes.set(answer.bytes, head.length);
    await cache.put(
      keyOf(call),
      {bytes, type: 'application/octet-stream'},
      {kind: call.capability, ttlMs: settings.store.get().cacheDays * timing.dayMs},
    );
  }

  async function recall(call: Call): Promise<Answer | null> {
    const cached = await cache.get(keyOf(call));
    if (cached === null) return null;
    const end = cached.bytes.indexOf(10);
    const about = JSON.parse(new TextDecoder().decode(cached.bytes.subarray(0, end))) as Pick<Answer, 'type' | 'model' | 'provider'>;
    return {...about, bytes: cached.bytes.slice(end + 1), placeholder: false, requestId: null};
  }

  /** Whether asking again gives the same answer, so that it is worth keeping. */
  const isRepeatable = (call: Call) =>
    call.capability === 'embedding' || call.capability === 'tts' || (call.capability === 'image' && call.about.seed !== undefined);

  async function refreshModels(): Promise<void> {
    try {
      models.set(await api.models());
    } catch {
      // Servers without a list: the known names are offered.
      models.set({});
    }
  }

  const search = createSearch({
    blobs: storage.media,
    embed: async (text, signal) => {
      if (reachability.reach.get().state === 'unreachable') throw new ProblemError(problem('unreachable'));
      return embeddingReply(await api.send(embeddingCall({text}), {retry: false, ...(signal && {signal})})).vector;
    },
  });

  return {
    storage,
    settings,
    api,
    cache,
    library,
    chats,
    outbox,
    reachability,
    models,
    embeddings,
    log,
    search,
    home: options.home,
    fetch: options.fetch,

    async open(): Promise<void> {
      await settings.open();
      if (settings.store.get().servers.length === 0 && options.home !== null) {
        await settings.saveServer({name: new URL(options.home).host, address: options.home, headers: {}}, '');
      }
      await Promise.all([library.open(), chats.open(), outbox.open(), cache.tidy()]);
    },

    /**
     * Sends a request, or takes it into the outbox when the server cannot be reached.
     * Throws a ProblemError for everything else.
     */
    async submit(call: Call, signal?: AbortSignal): Promise<Outcome> {
      const id = newId();
      const key = `app-${id}`;
      if (isRepeatable(call)) {
        const answer = await recall(call);
        if (answer !== null) return {state: 'answered', answer, fromCache: true, id};
      }
      if (serverId() !== '' && reachability.reach.get().state === 'unreachable') {
        // It may be back since the last look; a wait of a moment saves the detour.
        if (!(await reachability.look())) return {state: 'queued', job: await outbox.add(call, serverId(), key)};
      }
      try {
        const answer = await api.send(call, {key, ...(signal && {signal})});
        reachability.note(true);
        if (isRepeatable(call) && !answer.placeholder) await remember(call, answer);
        return {state: 'answered', answer, fromCache: false, id};
      } catch (thrown) {
        const what = problemOfThrown(thrown, signal?.aborted === true);
        if (what.kind !== 'unreachable' || serverId() === '') throw new ProblemError(what);
        reachability.note(false);
        // With the key it already went out with: if it did arrive, it is not done twice.
        return {state: 'queued', job: await outbox.add(call, serverId(), key)};
      }
    },

    /** For speech while somebody listens: from the cache or at once, but never into the outbox. */
    async submitNow(call: Call, signal: AbortSignal): Promise<Answer> {
      const known = isRepeatable(call) ? await recall(call) : null;
      if (known !== null) return known;
      const answer = await api.send(call, {signal, key: `app-${newId()}`});
      if (isRepeatable(call) && !answer.placeholder) await remember(call, answer);
      return answer;
    },

    deliver,

    /** Names for the model picker: the server's list, else those we know. */
    modelsFor(capability: Capability): readonly Model[] {
      const own = models.get()[capability];
      if (own !== undefined && own.length > 0) return own;
      return knownModels[capability].map((name) => ({name, placeholder: false, state: 'unknown'}));
    },

    /**
     * Everything of this person as one ZIP file, written piece by piece: `data.json` with the settings without secrets, the
     * chats and the list of made things, and beside it the files of those things.
     */
    async exportAll(write: Sink): Promise<void> {
      const archive = createArchive(write);
      const made: (Item & {file?: string})[] = [];
      for (const item of library.items.get()) {
        const file = await library.read(item.id);
        if (file === null) {
          made.push(item);
          continue;
        }
        const name = `files/${item.id}.${endingOf(item.type)}`;
        archive.add(name, file.bytes, new Date(item.createdAt));
        made.push({...item, file: name});
      }
      const {servers, ...rest} = settings.store.get();
      const data = {
        format: 'hybrid-ai-data',
        version: 2,
        settings: {...rest, servers: servers.map(({id, name, address}) => ({id, name, address}))},
        conversations: chats.all.get(),
        library: made,
      };
      archive.add('data.json', utf8(JSON.stringify(data, null, 2)), new Date());
      archive.end();
    },

    /** Removes everything from this device. */
    async deleteAll(): Promise<void> {
      reachability.stop();
      await outbox.clear();
      await chats.remove(chats.all.get().map((one) => one.id));
      await library.remove(library.items.get().map((item) => item.id));
      await cache.clear();
      for (const blobs of [storage.media, storage.outbox, storage.cache]) {
        for (const name of await blobs.names()) await blobs.remove(name);
      }
      await search.clear();
      embeddings.set({});
      log.set([]);
      await settings.reset();
      for (const name of await storage.values.names()) await storage.values.remove(name);
    },

    chatLimits: {messages: limits.chatMessages, chars: limits.chatChars},
  };
}
