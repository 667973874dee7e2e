import {type KeyValue, inTurn, readJson} from './storage';
import {createStore, type Store} from './store';
import {megabyte} from '../utils/constants';
import {isLanguage, type Language} from '../i18n/languages';

export type Server = {
  id: string;
  name: string;
  address: string;
  headers: Record<string, string>;
};

export type Settings = {
  servers: Server[];
  current: string | null;
  theme: 'system' | 'light' | 'dark';
  language: 'system' | Language;
  cacheBytes: number;
  cacheDays: number;
  haptics: boolean;
  /** Whether the first steps are done. */
  welcomed: boolean;
};

export const initialSettings: Settings = {
  servers: [],
  current: null,
  theme: 'system',
  language: 'system',
  cacheBytes: 250 * megabyte,
  cacheDays: 30,
  haptics: true,
  welcomed: false,
};

const name = 'settings';
const tokenOf = (id: string) => `token.${id}`;

export type SettingsService = ReturnType<typeof createSettings>;

export function createSettings(options: {values: KeyValue; secrets: KeyValue; newId(): string}) {
  const turn = inTurn();
  const store: Store<Settings> = createStore(initialSettings);
  // Kept in memory too: every request needs it, and keychains are slow.
  const tokens = new Map<string, string>();

  const update = (change: Partial<Settings>): Promise<void> => {
    store.update((old) => ({...old, ...change}));
    return turn(() => options.values.set(name, JSON.stringify(store.get())));
  };

  return {
    store,

    async open(): Promise<void> {
      const saved = await readJson(options.values, name, isRecord);
      if (saved !== null) store.set(repaired(saved));
      for (const server of store.get().servers) {
        const token = await options.secrets.get(tokenOf(server.id));
        if (token !== null) tokens.set(server.id, token);
      }
    },

    update,

    current(): Server | null {
      const {servers, current} = store.get();
      return servers.find((server) => server.id === current) ?? servers[0] ?? null;
    },

    token: (id: string): string => tokens.get(id) ?? '',

    /** Adds a server or changes the one with this id, and makes it the one in use. */
    async saveServer(server: Omit<Server, 'id'> & {id?: string}, token: string): Promise<Server> {
      const whole: Server = {...server, id: server.id ?? options.newId(), address: tidyAddress(server.address)};
      const known = store.get().servers.some((one) => one.id === whole.id);
      if (token === '') {
        tokens.delete(whole.id);
        await options.secrets.remove(tokenOf(whole.id));
      } else {
        tokens.set(whole.id, token);
        await options.secrets.set(tokenOf(whole.id), token);
      }
      const servers = known
        ? store.get().servers.map((one) => (one.id === whole.id ? whole : one))
        : [...store.get().servers, whole];
      await update({servers, current: whole.id});
      return whole;
    },

    async removeServer(id: string): Promise<void> {
      tokens.delete(id);
      await options.secrets.remove(tokenOf(id));
      const servers = store.get().servers.filter((one) => one.id !== id);
      await update({servers, current: store.get().current === id ? (servers[0]?.id ?? null) : store.get().current});
    },

    /** Back to the beginning, tokens too. */
    async reset(): Promise<void> {
      for (const server of store.get().servers) await options.secrets.remove(tokenOf(server.id));
      tokens.clear();
      await update(initialSettings);
    },
  };
}

/** What a person types as an address, as an address: a scheme, no slash at the end. */
export function tidyAddress(typed: string): string {
  const trimmed = typed.trim().replace(/\/+$/, '');
  if (trimmed === '') return '';
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)) return trimmed;
  // Machines in one's own network seldom have certificates; the rest of the world does.
  const host = trimmed.split(/[/:]/)[0]!;
  const own = host === 'localhost' || /^(\d+\.){3}\d+$/.test(host) || host.endsWith('.local') || !host.includes('.');
  return `${own ? 'http' : 'https'}://${trimmed}`;
}

export function isAddress(address: string): boolean {
  try {
    const url = new URL(address);
    // Parsers differ in what they let pass in a name, down to spaces.
    return (url.protocol === 'http:' || url.protocol === 'https:') && /^([\p{L}\p{N}._-]+|\[[0-9a-f:.]+\])$/iu.test(url.hostname);
  } catch {
    return false;
  }
}

/** `hybridai://server?url=…&token=…&name=…`, or the same question on a web page of the app. */
export function serverOfLink(link: string): {address: string; token: string; name: string} | null {
  let url: URL;
  try {
    url = new URL(link);
  } catch {
    return null;
  }
  const ours = url.protocol === 'hybridai:' ? `${url.host}${url.pathname}`.replace(/\//g, '') === 'server' : /\/server\/?$/.test(url.pathname);
  const address = tidyAddress(url.searchParams.get('url') ?? '');
  if (!ours || !isAddress(address)) return null;
  return {address, token: url.searchParams.get('token') ?? '', name: url.searchParams.get('name') ?? ''};
}

export function linkOfServer(server: {address: string; name: string}): string {
  return `hybridai://server?url=${encodeURIComponent(server.address)}&name=${encodeURIComponent(server.name)}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** What an older version wrote, or a hand: each field counts for itself. */
function repaired(saved: Record<string, unknown>): Settings {
  const settings = {...initialSettings};
  if (Array.isArray(saved.servers)) {
    settings.servers = saved.servers.filter(
      (one): one is Server =>
        isRecord(one) && typeof one.id === 'string' && typeof one.name === 'string' &&
        typeof one.address === 'string' && isRecord(one.headers),
    );
  }
  if (typeof saved.current === 'string') settings.current = saved.current;
  if (saved.theme === 'light' || saved.theme === 'dark') settings.theme = saved.theme;
  if (isLanguage(saved.language)) settings.language = saved.language;
  if (typeof saved.cacheBytes === 'number' && saved.cacheBytes >= 0) settings.cacheBytes = saved.cacheBytes;
  if (typeof saved.cacheDays === 'number' && saved.cacheDays > 0) settings.cacheDays = saved.cacheDays;
  if (typeof saved.haptics === 'boolean') settings.haptics = saved.haptics;
  if (typeof saved.welcomed === 'boolean') settings.welcomed = saved.welcomed;
  return settings;
}
