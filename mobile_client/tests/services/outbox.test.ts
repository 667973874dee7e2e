import type {Answer, SendOptions} from '../../src/services/api';
import {type Call, embeddingCall, imageCall} from '../../src/services/calls';
import {createOutbox, type OutboxOptions} from '../../src/services/outbox';
import {ProblemError, problem, type ProblemKind} from '../../src/services/problem';
import {memoryStorage, type Storage} from '../../src/services/storage';

const answer: Answer = {bytes: new Uint8Array(1), type: 'image/png', model: null, provider: null, placeholder: false, requestId: null};

/** A server that honours idempotency keys, as the platform does: one key, one deed. */
class Server {
  reachable = true;
  readonly deeds: string[] = [];
  readonly arrivals: string[] = [];
  fault: ((call: Call, options: SendOptions) => Promise<void>) | null = null;

  send = async (call: Call, options: SendOptions): Promise<Answer> => {
    if (!this.reachable) throw new ProblemError(problem('unreachable'));
    this.arrivals.push(call.title);
    if (!this.deeds.includes(options.key!)) this.deeds.push(options.key!);
    await this.fault?.(call, options);
    return answer;
  };
}

let ids = 0;
function app(storage: Storage, server: Server, more: Partial<OutboxOptions> = {}) {
  const delivered: string[] = [];
  const outbox = createOutbox({
    values: storage.values,
    blobs: storage.outbox,
    send: server.send,
    deliver: async (job) => void delivered.push(job.id),
    newId: () => `job-${++ids}`,
    ...more,
  });
  return {outbox, delivered};
}
const states = (outbox: ReturnType<typeof createOutbox>) => outbox.jobs.get().map((job) => job.state);
const failWith = (kind: ProblemKind) => async () => {
  throw new ProblemError(problem(kind));
};

test('what waits is a file; the index holds its name only', async () => {
  const storage = memoryStorage();
  const {outbox} = app(storage, new Server());
  const job = await outbox.add(imageCall({prompt: 'a secret wish'}), 'home');
  const file = await storage.outbox.read(job.id);
  expect(new TextDecoder().decode(file!.bytes)).toContain('a secret wish');
  expect(await storage.values.get('outbox')).toContain(`"key":"app-${job.id}"`);
});

test('requests go out in order, each once, with their own key', async () => {
  const storage = memoryStorage();
  const server = new Server();
  server.reachable = false;
  const {outbox, delivered} = app(storage, server);
  for (const prompt of ['one', 'two', 'three']) await outbox.add(imageCall({prompt}), 'home');
  await outbox.flush();
  expect(states(outbox)).toEqual(['waiting', 'waiting', 'waiting']);
  server.reachable = true;
  await Promise.all([outbox.flush(), outbox.flush(), outbox.flush()]);
  expect(server.arrivals).toEqual(['one', 'two', 'three']);
  expect(new Set(server.deeds).size).toBe(3);
  expect(delivered).toHaveLength(3);
  expect(states(outbox)).toEqual(['done', 'done', 'done']);
  expect(await storage.outbox.names()).toEqual([]);
});

test('they survive a restart', async () => {
  const storage = memoryStorage();
  const server = new Server();
  server.reachable = false;
  await app(storage, server).outbox.add(imageCall({prompt: 'later'}), 'home');
  server.reachable = true;
  const {outbox, delivered} = app(storage, server);
  await outbox.open();
  expect(states(outbox)).toEqual(['waiting']);
  await outbox.flush();
  expect(delivered).toHaveLength(1);
});

/** Storage that dies at the n-th write: what the app wrote before is there, nothing after. */
function dyingStorage(storage: Storage, writesLeft: number): Storage {
  let left = writesLeft;
  const dead = new Promise<never>(() => undefined);
  const guard = <A extends unknown[], R>(write: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> => (left-- > 0 ? write(...args) : dead);
  return {
    ...storage,
    values: {...storage.values, set: guard(storage.values.set), remove: guard(storage.values.remove)},
    outbox: {...storage.outbox, write: guard(storage.outbox.write), remove: guard(storage.outbox.remove)},
  };
}

test('killed at any write, nothing is lost and nothing is done twice', async () => {
  for (let writes = 0; writes < 30; writes++) {
    const storage = memoryStorage();
    const server = new Server();
    // The first life ends in the middle, wherever that is.
    const first = app(dyingStorage(storage, writes), server);
    const accepted: string[] = [];
    const life = (async () => {
      for (const prompt of ['one', 'two', 'three']) {
        const job = await first.outbox.add(imageCall({prompt}), 'home');
        accepted.push(job.key);
      }
      await first.outbox.flush();
    })();
    await Promise.race([life, new Promise((resolve) => setTimeout(resolve, 3))]);

    const second = app(storage, server);
    await second.outbox.open();
    await second.outbox.flush();
    // Everything the app said it had taken has happened, under its one key.
    for (const key of accepted) expect(server.deeds.filter((deed) => deed === key)).toHaveLength(1);
    expect(states(second.outbox)).not.toContain('waiting');
    expect(states(second.outbox)).not.toContain('sending');
    expect(await storage.outbox.names()).toEqual([]);
    const keys = second.outbox.jobs.get().map((job) => job.key);
    expect(new Set([...keys, ...accepted]).size).toBe(new Set(server.deeds).size);
  }
});

test('killed while an answer is on its way, the same key goes out again', async () => {
  const storage = memoryStorage();
  const server = new Server();
  server.fault = () => new Promise(() => undefined);
  const first = app(storage, server);
  const job = await first.outbox.add(imageCall({prompt: 'x'}), 'home');
  void first.outbox.flush();
  await new Promise((resolve) => setTimeout(resolve, 2));
  server.fault = null;
  const second = app(storage, server);
  await second.outbox.flush();
  expect(server.arrivals).toEqual(['x', 'x']);
  expect(server.deeds).toEqual([job.key]);
  expect(second.delivered).toEqual([job.id]);
});

test('a refused one fails alone, with its reason; the others go on', async () => {
  const server = new Server();
  server.fault = async (call) => {
    if (call.title === 'bad') throw new ProblemError(problem('invalid', {fields: {prompt: 'no'}}));
  };
  const {outbox} = app(memoryStorage(), server);
  for (const prompt of ['good', 'bad', 'fine']) await outbox.add(imageCall({prompt}), 'home');
  await outbox.flush();
  expect(states(outbox)).toEqual(['done', 'failed', 'done']);
  expect(outbox.jobs.get()[1]!.problem).toMatchObject({kind: 'invalid', fields: {prompt: 'no'}});
});

test('a failed one can be tried again by hand, with its old key', async () => {
  const server = new Server();
  server.fault = failWith('provider');
  const {outbox} = app(memoryStorage(), server);
  const job = await outbox.add(imageCall({prompt: 'x'}), 'home');
  await outbox.flush();
  expect(states(outbox)).toEqual(['failed']);
  server.fault = null;
  await outbox.retry(job.id);
  await outbox.flush();
  expect(states(outbox)).toEqual(['done']);
  expect(server.deeds).toEqual([job.key]);
});

test('a server that asks to wait is left alone for now, and in the end a person decides', async () => {
  const server = new Server();
  server.fault = failWith('limited');
  const {outbox} = app(memoryStorage(), server);
  await outbox.add(imageCall({prompt: 'x'}), 'home');
  await outbox.add(imageCall({prompt: 'y'}), 'home');
  await outbox.flush();
  expect(server.arrivals).toEqual(['x']);
  for (let i = 0; i < 4; i++) await outbox.flush();
  expect(states(outbox)).toEqual(['failed', 'waiting']);
});

test('cancelling takes it back, also while it is being sent', async () => {
  const storage = memoryStorage();
  const server = new Server();
  server.fault = (_call, options) =>
    new Promise((_resolve, reject) => options.signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))));
  const {outbox, delivered} = app(storage, server);
  const job = await outbox.add(imageCall({prompt: 'x'}), 'home');
  const flushing = outbox.flush();
  await new Promise((resolve) => setTimeout(resolve, 2));
  await outbox.cancel(job.id);
  await flushing;
  expect(outbox.jobs.get()).toEqual([]);
  expect(delivered).toEqual([]);
  expect(await storage.outbox.names()).toEqual([]);
});

test('one whose file is gone says so instead of sending nothing', async () => {
  const storage = memoryStorage();
  const server = new Server();
  const job = await app(storage, server).outbox.add(embeddingCall({text: 'x'}), 'home');
  await storage.outbox.remove(job.id);
  const {outbox} = app(storage, server);
  await outbox.flush();
  expect(outbox.jobs.get()).toMatchObject([{state: 'failed', problem: {kind: 'interrupted', retryable: false}}]);
  expect(server.arrivals).toEqual([]);
});

test('finished ones leave the list after a week, or when they are cleared', async () => {
  const storage = memoryStorage();
  const server = new Server();
  const first = app(storage, server);
  await first.outbox.add(imageCall({prompt: 'x'}), 'home');
  await first.outbox.flush();
  const later = app(storage, server, {now: () => Date.now() + 8 * 86_400_000});
  await later.outbox.open();
  expect(later.outbox.jobs.get()).toEqual([]);
  await first.outbox.clearDone();
  expect(first.outbox.jobs.get()).toEqual([]);
});

test('two windows of one browser do not send one request twice', async () => {
  const storage = memoryStorage();
  const server = new Server();
  let held = false;
  const alone = async (work: () => Promise<void>) => {
    if (held) return;
    held = true;
    try {
      await work();
    } finally {
      held = false;
    }
  };
  const one = app(storage, server, {alone});
  await one.outbox.add(imageCall({prompt: 'x'}), 'home');
  const two = app(storage, server, {alone});
  await two.outbox.open();
  await Promise.all([one.outbox.flush(), two.outbox.flush()]);
  expect(server.arrivals).toEqual(['x']);
});
