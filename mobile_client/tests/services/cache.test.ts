import {createCache} from '../../src/services/cache';
import {memoryStorage, type Storage} from '../../src/services/storage';

function house(storage: Storage = memoryStorage(), sizes: {memoryBytes?: number; diskBytes?: number} = {}) {
  const time = {now: 1000, diskBytes: sizes.diskBytes ?? 100};
  const cache = createCache({
    blobs: storage.cache,
    values: storage.values,
    memoryBytes: sizes.memoryBytes ?? 50,
    diskBytes: () => time.diskBytes,
    now: () => time.now++,
  });
  const put = (key: string, size: number, ttlMs = 10_000, kind = 'image') =>
    cache.put(key, {bytes: new Uint8Array(size).fill(key.charCodeAt(0)), type: 'image/png'}, {kind, ttlMs});
  return {storage, time, cache, put};
}

test('the longest unused go when space is short', async () => {
  const {cache, put, storage} = house();
  await put('a', 40);
  await put('b', 40);
  await cache.get('a');
  await put('c', 40);
  expect(await cache.get('b')).toBeNull();
  expect(await cache.get('a')).not.toBeNull();
  expect(await cache.get('c')).not.toBeNull();
  expect(await cache.usage()).toMatchObject({entries: 2, bytes: 80});
  expect((await storage.cache.names()).sort()).toEqual(['a', 'c']);
});

test('what is larger than all the room is not kept, and throws nothing out', async () => {
  const {cache, put} = house();
  await put('a', 60);
  await put('b', 101);
  expect(await cache.get('a')).not.toBeNull();
  expect(await cache.get('b')).toBeNull();
});

test('a smaller budget takes effect when tidying', async () => {
  const {cache, put, time} = house();
  await put('a', 40);
  await put('b', 40);
  time.diskBytes = 50;
  await cache.tidy();
  expect(await cache.usage()).toMatchObject({entries: 1, bytes: 40});
});

test('an entry past its time is not given out, and is removed', async () => {
  const {cache, put, time, storage} = house();
  await put('a', 10, 500);
  time.now += 400;
  expect(await cache.get('a')).not.toBeNull();
  time.now += 200;
  expect(await cache.get('a')).toBeNull();
  expect(await storage.cache.names()).toEqual([]);
});

test('memory keeps to its own budget; the disk answers for what it let go', async () => {
  const {cache, put} = house(memoryStorage(), {memoryBytes: 25, diskBytes: 1000});
  for (const key of ['a', 'b', 'c']) await put(key, 10);
  expect(await cache.usage()).toMatchObject({bytes: 30, memoryBytes: 20});
  expect((await cache.get('a'))?.bytes[0]).toBe('a'.charCodeAt(0));
});

test('it is all there after a restart', async () => {
  const {put, storage} = house();
  await put('a', 10);
  const again = house(storage);
  expect((await again.cache.get('a'))?.bytes).toEqual(new Uint8Array(10).fill('a'.charCodeAt(0)));
});

test('files without an entry and entries without a file are forgotten', async () => {
  const {put, storage, cache} = house();
  await put('a', 10);
  await put('b', 10);
  await storage.cache.remove('a');
  await storage.cache.write('stray', new Uint8Array(5), 'image/png');
  const again = house(storage).cache;
  expect(await again.usage()).toMatchObject({entries: 1});
  expect(await storage.cache.names()).toEqual(['b']);
  // And a file that vanishes while the app runs, because the system needed the space.
  await storage.cache.remove('b');
  expect(await again.get('b')).toBeNull();
  expect(await cache.usage()).toMatchObject({entries: 2});
});

test('everything or one kind can be cleared by hand', async () => {
  const {cache, put} = house();
  await put('a', 10, 10_000, 'image');
  await put('b', 10, 10_000, 'tts');
  await cache.clear('tts');
  expect(await cache.get('b')).toBeNull();
  expect(await cache.get('a')).not.toBeNull();
  await cache.clear();
  expect(await cache.usage()).toEqual({entries: 0, bytes: 0, memoryBytes: 0});
});

test('a broken index does not keep the app from starting', async () => {
  const storage = memoryStorage();
  await storage.values.set('cache-index', '[{"key": 7}]');
  expect(await house(storage).cache.usage()).toMatchObject({entries: 0});
});
