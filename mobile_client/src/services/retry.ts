import {type Problem, ProblemError, problem} from './problem';

/** The plan's numbers: three attempts, 1 s, doubled, at most 30 s. */
export type Backoff = {attempts: number; initialMs: number; factor: number; maxMs: number};
export const backoff: Backoff = {attempts: 3, initialMs: 1000, factor: 2, maxMs: 30_000};

/**
 * How long to wait after failed attempt `n` (from 1). Spread by up to a fifth, so that
 * many apps do not come back in step. The server's own wish wins when it is longer.
 */
export function delayMs(n: number, rule: Backoff, random: () => number, retryAfterMs = 0): number {
  const plain = Math.min(rule.maxMs, rule.initialMs * rule.factor ** (n - 1));
  return Math.max(retryAfterMs, Math.round(plain * (0.9 + random() * 0.2)));
}

export type Clock = {
  /** Rejects with a cancelled problem when the signal fires first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  random(): number;
};

export const clock: Clock = {
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer);
        reject(new ProblemError(problem('cancelled')));
      };
      if (signal?.aborted) {
        reject(new ProblemError(problem('cancelled')));
        return;
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, ms);
      signal?.addEventListener('abort', stop);
    }),
  random: Math.random,
};

/** Runs `attempt` until it succeeds, fails for good, or the attempts are used up. */
export async function retrying<T>(
  attempt: (n: number) => Promise<T>,
  mayRetry: (problem: Problem) => boolean,
  options: {rule?: Backoff; clock?: Clock; signal?: AbortSignal} = {},
): Promise<T> {
  const rule = options.rule ?? backoff;
  const time = options.clock ?? clock;
  for (let n = 1; ; n++) {
    try {
      return await attempt(n);
    } catch (thrown) {
      if (!(thrown instanceof ProblemError)) throw thrown;
      const {retryAfterMs} = thrown.problem;
      const tooLong = retryAfterMs !== undefined && retryAfterMs > rule.maxMs;
      if (n >= rule.attempts || tooLong || !mayRetry(thrown.problem)) throw thrown;
      await time.sleep(delayMs(n, rule, time.random, retryAfterMs), options.signal);
    }
  }
}
