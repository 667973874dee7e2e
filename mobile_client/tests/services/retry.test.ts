import {ProblemError, problem, type ProblemKind} from '../../src/services/problem';
import {backoff, type Clock, clock, delayMs, retrying} from '../../src/services/retry';

function fakeClock(): Clock & {slept: number[]} {
  const slept: number[] = [];
  return {slept, random: () => 0.5, sleep: async (ms) => void slept.push(ms)};
}
const failing = (times: number, kind: ProblemKind = 'unreachable', more = {}) => {
  let n = 0;
  return async () => {
    if (n++ < times) throw new ProblemError(problem(kind, more));
    return n;
  };
};

test('waits 1 s, then 2 s, and gives up after the third attempt', async () => {
  const time = fakeClock();
  await expect(retrying(failing(2), () => true, {clock: time})).resolves.toBe(3);
  expect(time.slept).toEqual([1000, 2000]);
  await expect(retrying(failing(3), () => true, {clock: time})).rejects.toThrow(ProblemError);
});

test('never waits longer than 30 s, and is spread by a tenth each way', () => {
  expect(delayMs(10, backoff, () => 0.5)).toBe(30_000);
  expect(delayMs(1, backoff, () => 0)).toBe(900);
  expect(delayMs(1, backoff, () => 1)).toBe(1100);
});

test('the server’s own wish wins, unless it asks for more than anybody waits', async () => {
  const time = fakeClock();
  await retrying(failing(1, 'limited', {retryAfterMs: 5000}), () => true, {clock: time});
  expect(time.slept).toEqual([5000]);
  await expect(retrying(failing(1, 'limited', {retryAfterMs: 90_000}), () => true, {clock: time})).rejects.toThrow();
});

test('what may not be retried is not', async () => {
  const time = fakeClock();
  await expect(retrying(failing(1, 'invalid'), (what) => what.automatic, {clock: time})).rejects.toThrow();
  expect(time.slept).toEqual([]);
});

test('cancelling ends the wait at once', async () => {
  const abort = new AbortController();
  const waiting = clock.sleep(60_000, abort.signal);
  abort.abort();
  await expect(waiting).rejects.toMatchObject({problem: {kind: 'cancelled'}});
});
