import {render, screen, waitFor} from '@testing-library/react-native';

import App from '../../App';
import {createServices, type Services} from '../../src/services/app';
import {memoryStorage, type Storage} from '../../src/services/storage';
import {encodeWav} from '../../src/services/wav';
import {encodeMask} from '../../src/services/png';

jest.mock('../../src/services/device', () => ({deviceStorage: () => undefined}));
jest.mock('../../src/services/files', () => ({
  readUri: async () => new Uint8Array(0),
  temporaryUri: async () => ({uri: 'memory:x', release: () => undefined}),
  share: async () => undefined,
  save: async () => undefined,
  saveMade: async () => undefined,
  copyText: jest.fn(async () => undefined),
}));
jest.mock('../../src/services/pictures', () => ({
  thumbnail: async () => null,
  preparePicture: async () => ({bytes: new Uint8Array(3), type: 'image/png', width: 100, height: 50}),
  prepareBytes: async () => ({bytes: new Uint8Array(3), type: 'image/png', width: 100, height: 50}),
}));

export type Answers = Record<string, (body: Record<string, unknown>) => Response>;

const json = (body: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(body), {...init, headers: {'content-type': 'application/json', ...(init.headers as Record<string, string>)}});

export const answers: Answers = {
  '/health': () => json({status: 'healthy', timestamp: ''}),
  '/image': () => new Response(encodeMask(new Uint8Array(64), 8, 8), {headers: {'content-type': 'image/png', 'x-model': 'a/picture'}}),
  '/edit-image': () => new Response(encodeMask(new Uint8Array(64), 8, 8), {headers: {'content-type': 'image/png'}}),
  '/tts': () => new Response(encodeWav(new Int16Array(16_000), 16_000), {headers: {'content-type': 'audio/wav'}}),
  '/embedding': (body) => json({embedding: [String(body.text).length, 1], dimension: 2, model: 'a/vector'}),
  '/llm': () => json({response: 'It is **Paris**.', model: 'a/chat', tokens_used: 3}),
};

export function refusal(status: number, error: string, message: string, details: Record<string, string> = {}): Response {
  return json({error, message, details, timestamp: ''}, {status, headers: {'x-request-id': 'r-7'}});
}

/** The whole app over a server made of functions. */
export class House {
  reachable = true;
  readonly asked: {path: string; key: string | null}[] = [];
  readonly services: Services;

  private constructor(readonly storage: Storage, readonly answers: Answers) {
    this.services = createServices({
      storage,
      home: null,
      shrink: async () => null,
      clock: {sleep: async () => undefined, random: () => 0.5},
      fetch: (async (url: string, init: RequestInit = {}) => {
        if (!this.reachable) throw new TypeError('failed to fetch');
        const path = new URL(url).pathname;
        const headers = new Headers(init.headers);
        this.asked.push({path, key: headers.get('idempotency-key')});
        const isJson = headers.get('content-type') === 'application/json';
        const text = init.body instanceof Uint8Array ? new TextDecoder().decode(init.body) : String(init.body);
        const answer = this.answers[path];
        return answer ? answer(isJson ? (JSON.parse(text) as Record<string, unknown>) : {}) : refusal(404, 'not_found', 'no such page');
      }) as typeof fetch,
    });
  }

  /** Opens the app; with a server set up, unless this is the first start. */
  static async open(options: {answers?: Answers; storage?: Storage; firstStart?: boolean} = {}): Promise<House> {
    const house = new House(options.storage ?? memoryStorage(), {...answers, ...options.answers});
    if (!options.firstStart && options.storage === undefined) {
      await house.services.settings.saveServer({name: 'Home', address: 'http://ai', headers: {}}, '');
      await house.services.settings.update({welcomed: true});
    }
    render(<App services={house.services} />);
    await waitFor(() => expect(screen.queryByText(/What shall it be|Welcome|Was soll es sein/)).toBeTruthy());
    return house;
  }

  asksFor(path: string): number {
    return this.asked.filter((one) => one.path === path).length;
  }
}
