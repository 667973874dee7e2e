/** Small texts by name: settings, indexes, conversations. */
export type KeyValue = {
  get(name: string): Promise<string | null>;
  set(name: string, value: string): Promise<void>;
  remove(name: string): Promise<void>;
  names(): Promise<string[]>;
};

/** Files by name: pictures, sound, bodies of requests. */
export type Blobs = {
  write(name: string, bytes: Uint8Array<ArrayBuffer>, type: string): Promise<void>;
  read(name: string): Promise<{bytes: Uint8Array<ArrayBuffer>; type: string} | null>;
  remove(name: string): Promise<void>;
  names(): Promise<string[]>;
  /** An address that pictures and players understand; null when there is no such file. */
  uri(name: string): Promise<string | null>;
};

export type Storage = {
  values: KeyValue;
  /** The token of a server: kept apart, where the system guards secrets. */
  secrets: KeyValue;
  /** What a person made and wants to keep. */
  media: Blobs;
  /** Bodies of requests that wait. */
  outbox: Blobs;
  /** What can be had again. */
  cache: Blobs;
};

/** Reads JSON; a text that is broken counts as absent, because starting matters more. */
export async function readJson<T>(values: KeyValue, name: string, isRight: (value: unknown) => value is T): Promise<T | null> {
  const text = await values.get(name);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return isRight(value) ? value : null;
  } catch {
    return null;
  }
}

/** Runs what it is given one after the other: an index is read, changed and written by one at a time. */
export function inTurn(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
}

/** Everything in memory: for tests, and for browsers that refuse to store. */
export function memoryValues(): KeyValue {
  const values = new Map<string, string>();
  return {
    get: async (name) => values.get(name) ?? null,
    set: async (name, value) => void values.set(name, value),
    remove: async (name) => void values.delete(name),
    names: async () => [...values.keys()],
  };
}

export function memoryBlobs(): Blobs {
  const files = new Map<string, {bytes: Uint8Array<ArrayBuffer>; type: string}>();
  return {
    write: async (name, bytes, type) => void files.set(name, {bytes: bytes.slice(), type}),
    read: async (name) => files.get(name) ?? null,
    remove: async (name) => void files.delete(name),
    names: async () => [...files.keys()],
    uri: async (name) => (files.has(name) ? `memory:${name}` : null),
  };
}

export function memoryStorage(): Storage {
  return {
    values: memoryValues(),
    secrets: memoryValues(),
    media: memoryBlobs(),
    outbox: memoryBlobs(),
    cache: memoryBlobs(),
  };
}
