/** A value that can be watched. What React reads, without knowing React. */
export type Store<T> = {
  get(): T;
  set(next: T): void;
  update(change: (value: T) => T): void;
  subscribe(watcher: () => void): () => void;
};

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const watchers = new Set<() => void>();
  const set = (next: T) => {
    if (Object.is(next, value)) return;
    value = next;
    for (const watcher of [...watchers]) watcher();
  };
  return {
    get: () => value,
    set,
    update: (change) => set(change(value)),
    subscribe: (watcher) => {
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  };
}
