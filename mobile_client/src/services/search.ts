import {fold} from '../utils/helpers';
import {fromUtf8, utf8} from '../utils/bytes';
import type {Conversation} from './chats';
import type {Item} from './library';
import {sha256} from './hash';
import {type Blobs, inTurn} from './storage';
import {similarity, spellingVector} from './vectors';

/** One thing that can be found: a message or a prompt. */
export type Findable = {id: string; text: string; where: {kind: 'chat'; chatId: string} | {kind: 'item'; itemId: string}};
export type Found = {entry: Findable; score: number};
/** By the question's own meaning; without the server by its spelling, and by the meaning of what that finds. */
export type FoundBy = 'meaning' | 'likeness' | 'spelling';

export type Search = ReturnType<typeof createSearch>;

/**
 * Searching by meaning over one's own texts. Vectors are made by the server once and kept, so
 * everything stored is searchable without it; only a new question then falls back to spelling.
 */
export function createSearch(options: {
  blobs: Blobs;
  embed(text: string, signal?: AbortSignal): Promise<number[]>;
}) {
  const turn = inTurn();
  const name = 'search-vectors';
  let vectors: Map<string, Float32Array> | null = null;

  async function loaded(): Promise<Map<string, Float32Array>> {
    if (vectors !== null) return vectors;
    const file = await options.blobs.read(name);
    vectors = file === null ? new Map() : unpacked(file.bytes);
    return vectors;
  }

  const keyOf = (text: string) => sha256(fold(text));
  const vectorOf = async (text: string, signal?: AbortSignal): Promise<Float32Array> => {
    const known = await loaded();
    const key = keyOf(text);
    const have = known.get(key);
    if (have !== undefined) return have;
    const made = Float32Array.from(await options.embed(text.slice(0, 4000), signal));
    known.set(key, made);
    return made;
  };
  const save = () => turn(async () => options.blobs.write(name, packed(await loaded()), 'application/octet-stream'));

  return {
    /** Asks the server for what has no vector yet. Stops at the first failure; the rest waits. */
    async prepare(entries: readonly Findable[], signal?: AbortSignal, most = 50): Promise<{made: number; missing: number}> {
      const known = await loaded();
      const wanted = entries.filter((entry) => !known.has(keyOf(entry.text)));
      let made = 0;
      try {
        for (const entry of wanted.slice(0, most)) {
          await vectorOf(entry.text, signal);
          made++;
        }
      } catch {
        // Offline: what is there can be searched already.
      }
      if (made > 0) await save();
      return {made, missing: wanted.length - made};
    },

    async find(
      query: string,
      entries: readonly Findable[],
      signal?: AbortSignal,
    ): Promise<{by: FoundBy; found: Found[]}> {
      const known = await loaded();
      let question: Float32Array | null = null;
      try {
        const isNew = !known.has(keyOf(query));
        question = await vectorOf(query, signal);
        if (isNew) await save();
      } catch {
        question = null;
      }
      const words = fold(query).split(' ');
      const ranked = (score: (entry: Findable) => number | null, least: number) =>
        entries
          .map((entry) => ({entry, score: score(entry)}))
          .filter((one): one is Found => one.score !== null && one.score > least)
          .sort((a, b) => b.score - a.score)
          .slice(0, 30);
      const spelled = spellingVector(fold(query));
      const spelling = (entry: Findable) => {
        const text = fold(entry.text);
        const whole = words.filter((word) => text.includes(word)).length / words.length;
        return Math.min(1, 0.5 * whole + 0.5 * similarity(spelled, spellingVector(text)));
      };
      if (question !== null) {
        const meant = Array.from(question);
        const found = ranked((entry) => {
          const vector = known.get(keyOf(entry.text));
          if (vector !== undefined && vector.length === meant.length) return similarity(meant, Array.from(vector));
          // What has no vector yet is found too when it is spelled so.
          const like = spelling(entry);
          return like > 0.4 ? like : null;
        }, 0.15);
        if (found.length > 0) return {by: 'meaning', found};
      }
      const bySpelling = ranked(spelling, 0.2);
      // The question has no vector, but what it is spelled like has: their middle stands for its meaning.
      const near = bySpelling.slice(0, 3).flatMap(({entry, score}) => {
        const vector = score < 0.35 ? undefined : known.get(keyOf(entry.text));
        return vector === undefined ? [] : [Array.from(vector)];
      });
      const length = near[0]?.length ?? 0;
      const alike = near.filter((vector) => vector.length === length);
      if (alike.length === 0) return {by: 'spelling', found: bySpelling};
      const middle = Array.from({length}, (_, i) => alike.reduce((sum, vector) => sum + vector[i]!, 0) / alike.length);
      const found = ranked((entry) => {
        const vector = known.get(keyOf(entry.text));
        const meant = vector === undefined || vector.length !== length ? 0 : similarity(middle, Array.from(vector));
        // What only means something alike comes after what is spelled so.
        return Math.max(spelling(entry), meant > 0.5 ? 0.8 * meant : 0);
      }, 0.2);
      return found.length > bySpelling.length ? {by: 'likeness', found} : {by: 'spelling', found: bySpelling};
    },

    clear: () =>
      turn(async () => {
        vectors = new Map();
        await options.blobs.remove(name);
      }),
  };
}

/** What may be found: messages of both sides and the wishes behind pictures, speech and transcripts. */
export function findables(chats: readonly Conversation[], items: readonly Item[]): Findable[] {
  const messages = chats.flatMap((chat) =>
    chat.messages
      .filter((message) => message.content.trim() !== '')
      .map((message): Findable => ({id: message.id, text: message.content, where: {kind: 'chat', chatId: chat.id}})),
  );
  const wishes = items
    .map((item): Findable => ({id: item.id, text: item.text ?? item.title, where: {kind: 'item', itemId: item.id}}))
    .filter((entry) => entry.text.trim() !== '');
  return [...messages, ...wishes];
}

/** One line of JSON naming the keys and lengths, then all numbers as they are in memory. */
function packed(vectors: Map<string, Float32Array>): Uint8Array<ArrayBuffer> {
  const head = utf8(`${JSON.stringify([...vectors].map(([key, vector]) => [key, vector.length]))}\n`);
  const numbers = [...vectors.values()].reduce((sum, vector) => sum + vector.length, 0);
  const out = new Uint8Array(head.length + numbers * 4);
  out.set(head);
  let at = head.length;
  for (const vector of vectors.values()) {
    out.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), at);
    at += vector.byteLength;
  }
  return out;
}

function unpacked(bytes: Uint8Array): Map<string, Float32Array> {
  const end = bytes.indexOf(10);
  const vectors = new Map<string, Float32Array>();
  try {
    const head = JSON.parse(fromUtf8(bytes.subarray(0, end))) as [string, number][];
    let at = end + 1;
    for (const [key, length] of head) {
      // Copied, because floats must start at a multiple of four.
      vectors.set(key, new Float32Array(bytes.slice(at, at + length * 4).buffer));
      at += length * 4;
    }
  } catch {
    return new Map();
  }
  return vectors;
}
