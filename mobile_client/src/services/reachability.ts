import {timing} from '../utils/constants';
import {createStore, type Store} from './store';

/** Whether the backend answers, as its own `/health` says; a network alone is not a backend. */
export type Reach = {state: 'unknown'} | {state: 'reachable'} | {state: 'unreachable'; since: number};

export type Reachability = ReturnType<typeof createReachability>;

export function createReachability(options: {
  check(signal: AbortSignal): Promise<void>;
  /** Called each time the backend is back. */
  onReachable(): void;
  now?(): number;
}) {
  const now = options.now ?? Date.now;
  const reach: Store<Reach> = createStore<Reach>({state: 'unknown'});
  let timer: ReturnType<typeof setTimeout> | null = null;
  let running: {abort: AbortController; result: Promise<boolean>} | null = null;
  let started = false;

  function note(reachable: boolean): void {
    const before = reach.get().state;
    if (reachable && before !== 'reachable') {
      reach.set({state: 'reachable'});
      options.onReachable();
    }
    if (!reachable && before !== 'unreachable') reach.set({state: 'unreachable', since: now()});
  }

  function plan(): void {
    if (timer !== null) clearTimeout(timer);
    if (!started) return;
    const ms = reach.get().state === 'reachable' ? timing.reachableEveryMs : timing.unreachableEveryMs;
    timer = setTimeout(() => void look(), ms);
  }

  function look(): Promise<boolean> {
    if (running !== null) return running.result;
    const abort = new AbortController();
    const result = options.check(abort.signal).then(
      () => true,
      () => false,
    ).then((reachable) => {
      if (abort.signal.aborted) return reachable;
      running = null;
      note(reachable);
      plan();
      return reachable;
    });
    running = {abort, result};
    return result;
  }

  return {
    reach,
    start(): void {
      started = true;
      void look();
    },
    stop(): void {
      started = false;
      running?.abort.abort();
      running = null;
      if (timer !== null) clearTimeout(timer);
    },
    /** Asks now: the network changed, the app came to the front, or a person wants to know. */
    look,
    /** A request has just shown it; no need to ask. */
    note(reachable: boolean): void {
      note(reachable);
      plan();
    },
    /** Another server: what was known no longer counts. */
    reset(): void {
      running?.abort.abort();
      running = null;
      reach.set({state: 'unknown'});
      if (started) void look();
    },
  };
}
