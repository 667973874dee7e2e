import type {Answer, SendOptions} from './api';
import type {Call} from './calls';
import {type Problem, problem, problemOfThrown} from './problem';
import {type Blobs, inTurn, type KeyValue, readJson} from './storage';
import {createStore, type Store} from './store';
import type {Capability} from '../utils/constants';

/** A request that waits on the device. Its body is a file; here is only the file's name. */
export type QueuedJob = {
  id: string;
  /** Sent as `Idempotency-Key`: however often it goes out, it happens once. */
  key: string;
  server: string;
  capability: Capability;
  path: string;
  contentType: string;
  title: string;
  about: Record<string, string | number>;
  size: number;
  createdAt: number;
  attempts: number;
  state: 'waiting' | 'sending' | 'done' | 'failed';
  problem?: Problem;
  finishedAt?: number;
};

export type OutboxOptions = {
  values: KeyValue;
  blobs: Blobs;
  send(call: Call, options: SendOptions, server: string): Promise<Answer>;
  /** Puts an answer where it belongs. May be called twice for one job after a crash: the id is the same. */
  deliver(job: QueuedJob, answer: Answer): Promise<void>;
  newId(): string;
  now?(): number;
  /** Keeps two windows of one browser from emptying the same outbox. Runs `work` or does nothing. */
  alone?(work: () => Promise<void>): Promise<void>;
};

export type Outbox = ReturnType<typeof createOutbox>;

const indexName = 'outbox';
/** So many failures other than "not reached", and a person decides. */
const maxAttempts = 5;
const keepDoneMs = 7 * 86_400_000;

export function createOutbox(options: OutboxOptions) {
  const now = options.now ?? Date.now;
  const alone = options.alone ?? ((work: () => Promise<void>) => work());
  const turn = inTurn();
  const jobs: Store<readonly QueuedJob[]> = createStore<readonly QueuedJob[]>([]);
  const sending = new Map<string, AbortController>();
  let opened: Promise<void> | null = null;
  let flushing: Promise<void> | null = null;

  async function readIndex(): Promise<QueuedJob[]> {
    return (await readJson(options.values, indexName, isJobs)) ?? [];
  }

  /** The one way to change the list: written before it is shown. */
  const change = (how: (list: readonly QueuedJob[]) => readonly QueuedJob[]): Promise<void> =>
    turn(async () => {
      const next = how(jobs.get());
      await options.values.set(indexName, JSON.stringify(next));
      jobs.set(next);
    });

  const patch = (id: string, fields: Partial<QueuedJob>): Promise<void> =>
    change((list) =>
      list.map((job) => {
        if (job.id !== id) return job;
        const {problem: old, ...rest} = job;
        void old;
        return {...rest, ...fields};
      }),
    );

  const open = (): Promise<void> =>
    (opened ??= (async () => {
      const list = await readIndex();
      const files = new Set(await options.blobs.names());
      const kept: QueuedJob[] = [];
      for (const job of list) {
        const unfinished = job.state !== 'done';
        if (!unfinished && now() - (job.finishedAt ?? 0) > keepDoneMs) continue;
        if (unfinished && !files.has(job.id)) {
          kept.push({...job, state: 'failed', problem: problem('interrupted', {retryable: false})});
        } else {
          // Killed while sending: nobody knows whether it arrived. The key makes asking again safe.
          kept.push(job.state === 'sending' ? {...job, state: 'waiting'} : job);
        }
      }
      const wanted = new Set(kept.filter((job) => job.state !== 'done').map((job) => job.id));
      for (const file of files) if (!wanted.has(file)) await options.blobs.remove(file);
      await options.values.set(indexName, JSON.stringify(kept));
      jobs.set(kept);
    })());

  async function sendOne(job: QueuedJob): Promise<'on' | 'stop'> {
    const file = await options.blobs.read(job.id);
    if (file === null) {
      await patch(job.id, {state: 'failed', problem: problem('interrupted', {retryable: false})});
      return 'on';
    }
    const abort = new AbortController();
    sending.set(job.id, abort);
    await patch(job.id, {state: 'sending', attempts: job.attempts + 1});
    try {
      const call: Call = {
        capability: job.capability,
        path: job.path,
        contentType: job.contentType,
        body: file.bytes,
        title: job.title,
        about: job.about,
      };
      const answer = await options.send(call, {key: job.key, signal: abort.signal}, job.server);
      await options.deliver(job, answer);
      // In this order: a crash between the steps sends again with the same key, and loses nothing.
      await patch(job.id, {state: 'done', finishedAt: now()});
      await options.blobs.remove(job.id);
      return 'on';
    } catch (thrown) {
      const what = problemOfThrown(thrown, abort.signal.aborted);
      if (!jobs.get().some((other) => other.id === job.id)) return 'on';
      if (what.kind === 'unreachable') {
        // Not its fault, and the next one would meet the same.
        await patch(job.id, {state: 'waiting', attempts: job.attempts});
        return 'stop';
      }
      const again = what.automatic && job.attempts + 1 < maxAttempts;
      await patch(job.id, {state: again ? 'waiting' : 'failed', problem: what});
      return again ? 'stop' : 'on';
    } finally {
      sending.delete(job.id);
    }
  }

  async function flushAll(): Promise<void> {
    await open();
    const tried = new Set<string>();
    for (;;) {
      const job = jobs.get().find((one) => one.state === 'waiting' && !tried.has(one.id));
      if (job === undefined) return;
      tried.add(job.id);
      if ((await sendOne(job)) === 'stop') return;
    }
  }

  return {
    jobs,
    open,

    /** Takes a request over. When this returns, it survives a restart. */
    async add(call: Call, server: string, key?: string): Promise<QueuedJob> {
      await open();
      const id = options.newId();
      const job: QueuedJob = {
        id,
        key: key ?? `app-${id}`,
        server,
        capability: call.capability,
        path: call.path,
        contentType: call.contentType,
        title: call.title,
        about: call.about,
        size: call.body.length,
        createdAt: now(),
        attempts: 0,
        state: 'waiting',
      };
      await options.blobs.write(id, call.body, 'application/octet-stream');
      await change((list) => [...list, job]);
      return job;
    },

    /** Sends what waits, oldest first, until one finds no server. One run at a time. */
    flush(): Promise<void> {
      return (flushing ??= alone(flushAll).finally(() => {
        flushing = null;
      }));
    },

    /** Takes a request back, also while it is being sent. */
    async cancel(id: string): Promise<void> {
      await open();
      await change((list) => list.filter((job) => job.id !== id));
      sending.get(id)?.abort();
      await options.blobs.remove(id);
    },

    /** Puts a failed one back in line, with its old key: if it did arrive, it is not done twice. */
    async retry(id: string): Promise<void> {
      await open();
      await patch(id, {state: 'waiting', attempts: 0});
    },

    /** Removes the finished ones from the list. */
    async clearDone(): Promise<void> {
      await open();
      await change((list) => list.filter((job) => job.state !== 'done'));
    },

    async clear(): Promise<void> {
      await open();
      for (const abort of sending.values()) abort.abort();
      const ids = jobs.get().map((job) => job.id);
      await change(() => []);
      for (const id of ids) await options.blobs.remove(id);
    },
  };
}


function isJobs(value: unknown): value is QueuedJob[] {
  return Array.isArray(value) && value.every((job) => typeof job?.id === 'string' && typeof job.key === 'string');
}
