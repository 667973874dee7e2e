import {type Blobs, inTurn, type KeyValue, readJson} from './storage';

export type CacheEntry = {
  key: string;
  size: number;
  type: string;
  storedAt: number;
  usedAt: number;
  expiresAt: number;
  /** What it is an answer to: lets one kind be dropped alone. */
  kind: string;
};

export type Cached = {bytes: Uint8Array<ArrayBuffer>; type: string};

export type CacheOptions = {
  blobs: Blobs;
  values: KeyValue;
  memoryBytes: number;
  diskBytes(): number;
  now?(): number;
};

export type Cache = ReturnType<typeof createCache>;

const indexName = 'cache-index';

/**
 * Answers that can be had again, in memory and on disk, each under the hash of its request.
 * The longest unused goes first when space is short.
 */
export function createCache(options: CacheOptions) {
  const now = options.now ?? Date.now;
  const turn = inTurn();
  // Insertion order is the order of use: a Map keeps it, and re-inserting moves to the end.
  const memory = new Map<string, Cached>();
  let memorySize = 0;
  let index: Map<string, CacheEntry> | null = null;

  async function loaded(): Promise<Map<string, CacheEntry>> {
    if (index !== null) return index;
    const entries = (await readJson(options.values, indexName, isEntries)) ?? [];
    const present = new Set(await options.blobs.names());
    index = new Map(entries.filter((entry) => present.has(entry.key)).map((entry) => [entry.key, entry]));
    // Files nobody knows: written just before the app was killed.
    for (const name of present) if (!index.has(name)) await options.blobs.remove(name);
    return index;
  }

  const save = () => options.values.set(indexName, JSON.stringify([...(index ?? new Map()).values()]));

  function remember(key: string, cached: Cached): void {
    forget(key);
    if (cached.bytes.length > options.memoryBytes) return;
    memory.set(key, cached);
    memorySize += cached.bytes.length;
    for (const oldest of memory.keys()) {
      if (memorySize <= options.memoryBytes) break;
      forget(oldest);
    }
  }

  function forget(key: string): void {
    const old = memory.get(key);
    if (old === undefined) return;
    memorySize -= old.bytes.length;
    memory.delete(key);
  }

  async function drop(entries: Map<string, CacheEntry>, key: string): Promise<void> {
    forget(key);
    entries.delete(key);
    await options.blobs.remove(key);
  }

  async function shrink(entries: Map<string, CacheEntry>): Promise<void> {
    const budget = options.diskBytes();
    let size = [...entries.values()].reduce((sum, entry) => sum + entry.size, 0);
    for (const entry of [...entries.values()].sort((a, b) => a.usedAt - b.usedAt)) {
      if (size <= budget) break;
      size -= entry.size;
      await drop(entries, entry.key);
    }
  }

  return {
    get: (key: string): Promise<Cached | null> =>
      turn(async () => {
        const entries = await loaded();
        const entry = entries.get(key);
        if (entry === undefined) return null;
        if (entry.expiresAt <= now()) {
          await drop(entries, key);
          await save();
          return null;
        }
        const cached = memory.get(key) ?? (await options.blobs.read(key));
        if (cached === null) {
          await drop(entries, key);
          await save();
          return null;
        }
        entry.usedAt = now();
        remember(key, cached);
        await save();
        return cached;
      }),

    put: (key: string, cached: Cached, about: {kind: string; ttlMs: number}): Promise<void> =>
      turn(async () => {
        // Larger than all the room there is: keeping it would throw everything else out for nothing.
        if (cached.bytes.length > options.diskBytes()) return;
        const entries = await loaded();
        await options.blobs.write(key, cached.bytes, cached.type);
        entries.set(key, {
          key,
          size: cached.bytes.length,
          type: cached.type,
          storedAt: now(),
          usedAt: now(),
          expiresAt: now() + about.ttlMs,
          kind: about.kind,
        });
        remember(key, cached);
        await shrink(entries);
        await save();
      }),

    remove: (key: string): Promise<void> =>
      turn(async () => {
        await drop(await loaded(), key);
        await save();
      }),

    /** Everything, or everything of one kind. */
    clear: (kind?: string): Promise<void> =>
      turn(async () => {
        const entries = await loaded();
        for (const entry of [...entries.values()]) {
          if (kind === undefined || entry.kind === kind) await drop(entries, entry.key);
        }
        await save();
      }),

    /** Drops what is past its time and what no longer fits the budget. */
    tidy: (): Promise<void> =>
      turn(async () => {
        const entries = await loaded();
        for (const entry of [...entries.values()]) if (entry.expiresAt <= now()) await drop(entries, entry.key);
        await shrink(entries);
        await save();
      }),

    usage: (): Promise<{entries: number; bytes: number; memoryBytes: number}> =>
      turn(async () => {
        const entries = [...(await loaded()).values()];
        return {entries: entries.length, bytes: entries.reduce((sum, e) => sum + e.size, 0), memoryBytes: memorySize};
      }),
  };
}

function isEntries(value: unknown): value is CacheEntry[] {
  return (
    Array.isArray(value) &&
    value.every((entry) => typeof entry?.key === 'string' && typeof entry.size === 'number' && typeof entry.usedAt === 'number')
  );
}
