import {useCallback, useEffect, useRef, useState} from 'react';

import type {Job, Outcome} from '../services/app';
import type {Call} from '../services/calls';
import {problem, problemOfThrown} from '../services/problem';
import {useServices} from './useServices';

/**
 * One request of one screen: sending, cancelling, and what came of it. A screen that is left
 * cancels what it waits for.
 */
export function useJob<T>(arrived: (outcome: Extract<Outcome, {state: 'answered'}>, call: Call) => Promise<T>) {
  const services = useServices();
  const [job, setJob] = useState<Job<T>>({state: 'idle'});
  const running = useRef<AbortController | null>(null);
  const latest = useRef(arrived);
  useEffect(() => {
    latest.current = arrived;
  });
  useEffect(() => () => running.current?.abort(), []);

  const run = useCallback(
    async (make: Call | (() => Call | Promise<Call>)) => {
      running.current?.abort();
      const abort = new AbortController();
      running.current = abort;
      const show = (next: Job<T>) => {
        if (running.current === abort) setJob(next);
      };
      show({state: 'sending', since: Date.now(), abort});
      try {
        // A moment for the screen to show that it works, before a large picture is packed.
        await new Promise((resolve) => setTimeout(resolve, 0));
        const call = typeof make === 'function' ? await make() : make;
        const outcome = await services.submit(call, abort.signal);
        if (outcome.state === 'queued') {
          show({state: 'queued', id: outcome.job.id});
        } else {
          const value = await latest.current(outcome, call);
          show({state: 'done', value, fromCache: outcome.fromCache});
        }
      } catch (thrown) {
        const what = problemOfThrown(thrown, abort.signal.aborted);
        show(what.kind === 'cancelled' ? {state: 'idle'} : {state: 'refused', problem: what});
      }
    },
    [services],
  );

  const cancel = useCallback(() => {
    running.current?.abort();
    running.current = null;
    setJob({state: 'idle'});
  }, []);

  const refuse = useCallback((fields: Record<string, string>) => {
    setJob({state: 'refused', problem: problem('invalid', {fields})});
  }, []);

  return {job, run, cancel, refuse, setJob};
}
