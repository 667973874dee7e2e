import {type Blobs, inTurn, type KeyValue, readJson} from './storage';
import {createStore, type Store} from './store';

/** Something made or heard: a picture, speech, a transcript. Its bytes are a file of the same name. */
export type Item = {
  id: string;
  kind: 'image' | 'edit-image' | 'tts' | 'stt';
  title: string;
  /** The wish it came from, by the wire's own names. */
  about: Record<string, string | number>;
  createdAt: number;
  type: string;
  size: number;
  width?: number;
  height?: number;
  durationMs?: number;
  /** A transcript's words. */
  text?: string;
  model?: string;
  placeholder?: boolean;
  favourite?: boolean;
};

export type Library = ReturnType<typeof createLibrary>;

const indexName = 'library';
export const thumbnailOf = (id: string) => `${id}-small`;

export function createLibrary(options: {
  values: KeyValue;
  media: Blobs;
  /** A small version for lists; null where none can be made. */
  shrink(bytes: Uint8Array<ArrayBuffer>, type: string): Promise<{bytes: Uint8Array<ArrayBuffer>; type: string} | null>;
}) {
  const turn = inTurn();
  const items: Store<readonly Item[]> = createStore<readonly Item[]>([]);
  let opened: Promise<void> | null = null;

  const open = (): Promise<void> =>
    (opened ??= (async () => {
      items.set((await readJson(options.values, indexName, isItems)) ?? []);
    })());

  const put = (how: (list: readonly Item[]) => readonly Item[]): Promise<void> =>
    turn(async () => {
      const next = how(items.get());
      await options.values.set(indexName, JSON.stringify(next));
      items.set(next);
    });

  return {
    items,
    open,

    /** Keeps a thing. The same id again replaces it, so a repeated delivery makes no second one. */
    async add(item: Omit<Item, 'size'>, bytes: Uint8Array<ArrayBuffer>): Promise<Item> {
      await open();
      const whole: Item = {...item, size: bytes.length};
      await options.media.write(item.id, bytes, item.type);
      if (item.type.startsWith('image/')) {
        // Without a small version the list shows the large one; that is slower, not wrong.
        const small = await options.shrink(bytes, item.type).catch(() => null);
        if (small !== null) await options.media.write(thumbnailOf(item.id), small.bytes, small.type);
      }
      await put((list) => [whole, ...list.filter((one) => one.id !== item.id)]);
      return whole;
    },

    async set(id: string, fields: Partial<Pick<Item, 'favourite' | 'title'>>): Promise<void> {
      await open();
      await put((list) => list.map((one) => (one.id === id ? {...one, ...fields} : one)));
    },

    async remove(ids: readonly string[]): Promise<void> {
      await open();
      await put((list) => list.filter((one) => !ids.includes(one.id)));
      for (const id of ids) {
        await options.media.remove(id);
        await options.media.remove(thumbnailOf(id));
      }
    },

    read: (id: string) => options.media.read(id),
    uri: (id: string) => options.media.uri(id),
    async smallUri(id: string): Promise<string | null> {
      return (await options.media.uri(thumbnailOf(id))) ?? options.media.uri(id);
    },
  };
}

/** The prompts that led to something, newest first, each once. */
export function promptsOf(items: readonly Item[], kinds: readonly Item['kind'][]): string[] {
  const seen = new Set<string>();
  for (const item of items) if (kinds.includes(item.kind) && item.title !== '') seen.add(item.title);
  return [...seen];
}

function isItems(value: unknown): value is Item[] {
  return (
    Array.isArray(value) &&
    value.every((item) => typeof item?.id === 'string' && typeof item.kind === 'string' && typeof item.type === 'string')
  );
}
