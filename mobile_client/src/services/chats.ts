import {fold, titleOf} from '../utils/helpers';
import {inTurn, type KeyValue, readJson} from './storage';
import {createStore, type Store} from './store';
import type {Turn} from './calls';

export type Message = {
  id: string;
  role: 'user' | 'assistant';
  content: string;
  at: number;
  model?: string;
  /** A stand-in answered, not a real model. */
  placeholder?: boolean;
  /** Stopped or broken before its end. */
  partial?: boolean;
};

export type Conversation = {
  id: string;
  title: string;
  /** Given by a person; an own title is not overwritten by the first question. */
  named?: boolean;
  createdAt: number;
  updatedAt: number;
  messages: Message[];
  system: string;
  model: string;
  maxTokens: number;
  temperature: number;
  draft: string;
};

export type Chats = ReturnType<typeof createChats>;

const indexName = 'chats';
const fileOf = (id: string) => `chat:${id}`;

export function createChats(options: {values: KeyValue; newId(): string; now?(): number}) {
  const now = options.now ?? Date.now;
  const turn = inTurn();
  const all: Store<readonly Conversation[]> = createStore<readonly Conversation[]>([]);
  let opened: Promise<void> | null = null;

  const open = (): Promise<void> =>
    (opened ??= (async () => {
      const ids = (await readJson(options.values, indexName, isNames)) ?? [];
      const found: Conversation[] = [];
      for (const id of ids) {
        const conversation = await readJson(options.values, fileOf(id), isConversation);
        if (conversation !== null) found.push(conversation);
      }
      all.set(found);
    })());

  /** Shown at once, written in turn. */
  function put(list: readonly Conversation[], changed: readonly Conversation[], gone: readonly string[] = []): Promise<void> {
    all.set(list);
    return turn(async () => {
      for (const one of changed) await options.values.set(fileOf(one.id), JSON.stringify(one));
      for (const id of gone) await options.values.remove(fileOf(id));
      await options.values.set(indexName, JSON.stringify(all.get().map((one) => one.id)));
    });
  }

  const find = (id: string) => all.get().find((one) => one.id === id);

  async function change(id: string, how: (old: Conversation) => Conversation): Promise<void> {
    await open();
    const old = find(id);
    if (old === undefined) return;
    const next = how(old);
    await put(all.get().map((one) => (one.id === id ? next : one)), [next]);
  }

  return {
    all,
    open,
    find,

    async create(like: Partial<Pick<Conversation, 'system' | 'model' | 'maxTokens' | 'temperature'>> = {}): Promise<Conversation> {
      await open();
      const one: Conversation = {
        id: options.newId(),
        title: '',
        createdAt: now(),
        updatedAt: now(),
        messages: [],
        system: '',
        model: '',
        maxTokens: 512,
        temperature: 0.7,
        draft: '',
        ...like,
      };
      await put([one, ...all.get()], [one]);
      return one;
    },

    /** Title, prompt, parameters, draft. */
    set: (id: string, fields: Partial<Pick<Conversation, 'system' | 'model' | 'maxTokens' | 'temperature' | 'draft'>>) =>
      change(id, (old) => ({...old, ...fields})),

    rename: (id: string, title: string) =>
      change(id, (old) => ({...old, title: title.trim(), named: title.trim() !== ''})),

    setMessages: (id: string, messages: Message[]) =>
      change(id, (old) => {
        const question = messages.find((message) => message.role === 'user')?.content ?? '';
        return {...old, messages, updatedAt: now(), title: old.named ? old.title : titleOf(question)};
      }),

    /** A copy up to and with one message, to go on differently. */
    async fork(id: string, messageId: string): Promise<Conversation | null> {
      await open();
      const old = find(id);
      const at = old?.messages.findIndex((message) => message.id === messageId) ?? -1;
      if (old === undefined || at < 0) return null;
      const copy: Conversation = {
        ...old, id: options.newId(), createdAt: now(), updatedAt: now(), draft: '', messages: old.messages.slice(0, at + 1),
      };
      await put([copy, ...all.get()], [copy]);
      return copy;
    },

    async remove(ids: readonly string[]): Promise<void> {
      await open();
      await put(all.get().filter((one) => !ids.includes(one.id)), [], ids);
    },

    exported(ids?: readonly string[]): string {
      const conversations = all.get().filter((one) => ids === undefined || ids.includes(one.id));
      return JSON.stringify({format: 'hybrid-ai-chats', version: 1, conversations}, null, 2);
    },

    /** Adds what a file holds; a conversation that is here already stays as it is. Returns how many came in. */
    async imported(text: string): Promise<number> {
      await open();
      let file: unknown;
      try {
        file = JSON.parse(text);
      } catch {
        return 0;
      }
      const list = (file as {conversations?: unknown} | null)?.conversations;
      if (!Array.isArray(list)) return 0;
      const added = list.filter(isConversation).filter((one) => find(one.id) === undefined);
      await put([...all.get(), ...added].sort((a, b) => b.updatedAt - a.updatedAt), added);
      return added.length;
    },
  };
}

/** Conversations that contain every word, newest first, with the place where the first was found. */
export function searchChats(
  all: readonly Conversation[],
  query: string,
): {conversation: Conversation; excerpt: string | null}[] {
  const words = fold(query).split(' ').filter((word) => word !== '');
  const newestFirst = [...all].sort((a, b) => b.updatedAt - a.updatedAt);
  if (words.length === 0) return newestFirst.map((conversation) => ({conversation, excerpt: null}));
  return newestFirst.flatMap((conversation) => {
    const texts = [conversation.title, ...conversation.messages.map((message) => message.content)];
    const folded = fold(texts.join(' '));
    if (!words.every((word) => folded.includes(word))) return [];
    const hit = conversation.messages.find((message) => fold(message.content).includes(words[0]!));
    return [{conversation, excerpt: hit === undefined ? null : excerptOf(hit.content, words[0]!)}];
  });
}

function excerptOf(text: string, word: string): string {
  const plain = text.replace(/\s+/g, ' ');
  const at = Math.max(0, fold(plain).indexOf(word));
  const from = Math.max(0, at - 30);
  const to = Math.min(plain.length, at + 70);
  return `${from > 0 ? '…' : ''}${plain.slice(from, to).trim()}${to < plain.length ? '…' : ''}`;
}

/** What is sent: the system prompt and the newest turns that fit the server's limits. */
export function turnsOf(conversation: Conversation, limits: {messages: number; chars: number}): Turn[] {
  const system: Turn[] =
    conversation.system.trim() === '' ? [] : [{role: 'system', content: conversation.system.trim()}];
  const turns: Turn[] = [];
  let chars = system[0]?.content.length ?? 0;
  for (const {role, content} of [...conversation.messages].reverse()) {
    // An answer that was stopped before its first word says nothing.
    if (content.trim() === '') continue;
    chars += content.length;
    if (turns.length > 0 && (chars > limits.chars || turns.length + system.length >= limits.messages)) break;
    turns.unshift({role, content});
  }
  return [...system, ...turns];
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((name) => typeof name === 'string');
}

export function isConversation(value: unknown): value is Conversation {
  if (value === null || typeof value !== 'object') return false;
  const one = value as Record<string, unknown>;
  return (
    typeof one.id === 'string' &&
    typeof one.title === 'string' &&
    typeof one.createdAt === 'number' &&
    typeof one.updatedAt === 'number' &&
    typeof one.system === 'string' &&
    typeof one.model === 'string' &&
    typeof one.maxTokens === 'number' &&
    typeof one.temperature === 'number' &&
    typeof one.draft === 'string' &&
    Array.isArray(one.messages) &&
    one.messages.every(
      (message) =>
        typeof message?.id === 'string' &&
        (message.role === 'user' || message.role === 'assistant') &&
        typeof message.content === 'string' &&
        typeof message.at === 'number',
    )
  );
}
