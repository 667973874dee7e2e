import AsyncStorage from '@react-native-async-storage/async-storage';

import {type Blobs, type KeyValue, memoryBlobs, type Storage} from './storage';

/** Storage in a browser: small texts in local storage, files in IndexedDB. */
export function deviceStorage(): Storage {
  const database = typeof indexedDB === 'undefined' ? null : open();
  return {
    values: asyncStorage('hybrid:v1:'),
    // Browsers have no keychain; the token is under its own prefix so that exports leave it out.
    secrets: asyncStorage('hybrid:secret:'),
    media: blobs(database, 'media'),
    outbox: blobs(database, 'outbox'),
    cache: blobs(database, 'cache'),
  };
}

export function asyncStorage(prefix: string): KeyValue {
  return {
    get: (name) => AsyncStorage.getItem(prefix + name),
    set: (name, value) => AsyncStorage.setItem(prefix + name, value),
    remove: (name) => AsyncStorage.removeItem(prefix + name),
    names: async () =>
      (await AsyncStorage.getAllKeys()).filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
  };
}

type Row = {bytes: Uint8Array<ArrayBuffer>; type: string};

function open(): Promise<IDBDatabase | null> {
  return new Promise((resolve) => {
    const request = indexedDB.open('hybrid-ai', 1);
    request.onupgradeneeded = () => {
      for (const name of ['media', 'outbox', 'cache']) request.result.createObjectStore(name);
    };
    request.onsuccess = () => resolve(request.result);
    // Private windows refuse; the app then works until it is closed.
    request.onerror = () => resolve(null);
  });
}

function blobs(opening: Promise<IDBDatabase | null> | null, store: string): Blobs {
  const fallback = memoryBlobs();
  const urls = new Map<string, string>();
  async function run<T>(mode: IDBTransactionMode, work: (objects: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await opening;
    if (!database) throw new Error('no database');
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(store, mode);
      const request = work(transaction.objectStore(store));
      // A write counts when the transaction is through, not when the request is.
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error('storage refused'));
    });
  }
  const forget = (name: string) => {
    const url = urls.get(name);
    if (url !== undefined) URL.revokeObjectURL(url);
    urls.delete(name);
  };
  const stored = async () => (await opening) !== null && opening !== null;
  const read = async (name: string): Promise<Row | null> => {
    if (!(await stored())) return fallback.read(name);
    return ((await run('readonly', (objects) => objects.get(name))) as Row | undefined) ?? null;
  };
  return {
    async write(name, bytes, type) {
      forget(name);
      if (!(await stored())) return fallback.write(name, bytes, type);
      await run('readwrite', (objects) => objects.put({bytes, type} satisfies Row, name));
    },
    read,
    async remove(name) {
      forget(name);
      if (!(await stored())) return fallback.remove(name);
      await run('readwrite', (objects) => objects.delete(name));
    },
    async names() {
      if (!(await stored())) return fallback.names();
      return (await run('readonly', (objects) => objects.getAllKeys())).map(String);
    },
    async uri(name) {
      const known = urls.get(name);
      if (known !== undefined) return known;
      const row = await read(name);
      if (row === null) return null;
      const url = URL.createObjectURL(new Blob([row.bytes], {type: row.type}));
      urls.set(name, url);
      return url;
    },
  };
}
