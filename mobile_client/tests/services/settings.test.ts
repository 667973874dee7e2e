import {diagnose} from '../../src/services/diagnosis';
import {createReachability} from '../../src/services/reachability';
import {createSettings, isAddress, linkOfServer, serverOfLink, tidyAddress} from '../../src/services/settings';
import {memoryStorage} from '../../src/services/storage';

const settingsOn = (storage = memoryStorage()) => {
  let n = 0;
  return {storage, settings: createSettings({values: storage.values, secrets: storage.secrets, newId: () => `s${++n}`})};
};

test('the token is in the secrets and nowhere else', async () => {
  const {settings, storage} = settingsOn();
  const server = await settings.saveServer({name: 'Home', address: '192.168.1.5:3000/', headers: {'X-A': 'b'}}, 'secret');
  expect(server.address).toBe('http://192.168.1.5:3000');
  expect(await storage.values.get('settings')).not.toContain('secret');
  const again = settingsOn(storage).settings;
  await again.open();
  expect(again.token(server.id)).toBe('secret');
  expect(again.current()).toEqual(server);
  await again.removeServer(server.id);
  expect(await storage.secrets.get(`token.${server.id}`)).toBeNull();
  expect(again.current()).toBeNull();
});

test('settings of another time are read field by field', async () => {
  const {settings, storage} = settingsOn();
  await storage.values.set('settings', JSON.stringify({theme: 'dark', language: 'xx', cacheBytes: 'lots', servers: [{id: 1}], old: true}));
  await settings.open();
  expect(settings.store.get()).toMatchObject({theme: 'dark', language: 'system', servers: [], cacheBytes: 250 * 1024 * 1024});
});

test('addresses are completed as people mean them', () => {
  expect(tidyAddress(' localhost:3000/ ')).toBe('http://localhost:3000');
  expect(tidyAddress('ai.example.org')).toBe('https://ai.example.org');
  expect(tidyAddress('printer')).toBe('http://printer');
  expect(tidyAddress('http://x/y/')).toBe('http://x/y');
});

test('a link or code sets up a server, and only with an address', () => {
  const link = linkOfServer({address: 'http://10.0.0.2:3000', name: 'Büro'});
  expect(serverOfLink(link)).toEqual({address: 'http://10.0.0.2:3000', token: '', name: 'Büro'});
  expect(serverOfLink('https://x.org/app/server?url=https://y.org&token=t')).toEqual({address: 'https://y.org', token: 't', name: ''});
  expect(serverOfLink('hybridai://server?url=javascript:x')).toBeNull();
  expect(serverOfLink('https://x.org/app/chat?url=https://y.org')).toBeNull();
  expect(serverOfLink('nonsense')).toBeNull();
});

type Rule = (url: string, init: RequestInit) => Response | 'fail' | 'hang';
const look = (rule: Rule, {address = 'http://ai:3000', origin = null as string | null} = {}) =>
  diagnose({address, headers: {}, token: 'k'}, {
    origin,
    timeoutMs: 20,
    fetch: ((url: string, init: RequestInit = {}) => {
      const answer = rule(url, init);
      if (answer === 'fail') return Promise.reject(new TypeError('failed'));
      if (answer === 'hang') return new Promise((_, reject) => init.signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))));
      return Promise.resolve(answer);
    }) as typeof fetch,
  });
const healthy = () => new Response(JSON.stringify({status: 'healthy', timestamp: ''}));
const refusal = (status: number) => new Response(JSON.stringify({error: 'x', message: 'y', details: {}, timestamp: ''}), {status});

test('the connection test says what is wrong', async () => {
  expect(await look(() => 'fail', {address: 'ftp://x'})).toEqual({state: 'bad-address'});
  expect(await look(() => 'fail')).toEqual({state: 'no-answer'});
  expect(await look(() => 'hang')).toEqual({state: 'slow'});
  expect(await look(() => healthy(), {origin: 'https://page.org'})).toEqual({state: 'mixed-content'});
  expect(await look((_, init) => (init.mode === 'no-cors' ? new Response() : 'fail'), {origin: 'http://page.org'})).toEqual({state: 'cors', origin: 'http://page.org'});
  expect(await look((url) => (url.startsWith('https:') ? 'fail' : healthy()), {address: 'https://ai:3000'})).toEqual({state: 'tls'});
  expect(await look(() => refusal(401))).toEqual({state: 'key'});
  expect(await look(() => new Response('<html>', {status: 200}))).toEqual({state: 'not-ours', status: 200});
  expect(await look(() => refusal(503))).toEqual({state: 'unwell', status: 503});
});

test('a server that does not know the app’s requests is of another version; a model that nobody serves is none of that', async () => {
  const known = (status: number, error: string) => look((url) => (url.endsWith('/health') ? healthy() : new Response(JSON.stringify({error, message: 'y', details: {}, timestamp: ''}), {status})));
  expect(await known(404, 'not_found')).toEqual({state: 'version'});
  expect(await known(405, 'method_not_allowed')).toEqual({state: 'version'});
  expect(await known(404, 'model_not_found')).toMatchObject({state: 'fine'});
});

test('it tries the key on a real request, and tells of stand-ins', async () => {
  expect(await look((url) => (url.endsWith('/health') ? healthy() : refusal(403)))).toEqual({state: 'key'});
  expect(await look((url) => (url.endsWith('/health') ? healthy() : new Response('{}', {headers: {'x-placeholder': 'true'}})))).toMatchObject({state: 'fine', placeholder: true});
  expect(await look((url) => (url.endsWith('/health') ? healthy() : refusal(503)))).toMatchObject({state: 'fine'});
});

test('reachability follows /health, and coming back is noticed once', async () => {
  jest.useFakeTimers();
  let up = false;
  const onReachable = jest.fn();
  const reachability = createReachability({
    check: async () => {
      if (!up) throw new Error('down');
    },
    onReachable,
    now: () => 5,
  });
  reachability.start();
  await jest.advanceTimersByTimeAsync(1);
  expect(reachability.reach.get()).toEqual({state: 'unreachable', since: 5});
  up = true;
  await jest.advanceTimersByTimeAsync(6_000);
  expect(reachability.reach.get()).toEqual({state: 'reachable'});
  await jest.advanceTimersByTimeAsync(120_000);
  expect(onReachable).toHaveBeenCalledTimes(1);
  reachability.stop();
  jest.useRealTimers();
});

test('an address has a scheme and a name, however lenient the parser', () => {
  for (const good of ['http://192.168.1.5:3000', 'https://ai.example.org', 'http://[::1]:3000', 'http://localhost', 'https://bücher.example']) expect(isAddress(good)).toBe(true);
  for (const bad of ['https://a b', 'ftp://a', 'http://', 'a', '']) expect(isAddress(bad)).toBe(false);
});
