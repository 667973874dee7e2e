import {type ApiOptions, type ChatPiece, createApi, modelList, transcriptReply} from '../../src/services/api';
import {chatCall, editCall, embeddingCall, imageCall, refusal, speechCall, transcriptCall} from '../../src/services/calls';
import {limits} from '../../src/utils/constants';

type Handler = (url: string, init: RequestInit) => Response | Promise<Response>;

function house(handler: Handler, more: Partial<ApiOptions> = {}) {
  const seen: {url: string; init: RequestInit}[] = [];
  const server = {address: 'http://one', headers: {} as Record<string, string>, token: null as string | null};
  const api = createApi({
    fetch: (async (url: string, init: RequestInit = {}) => {
      seen.push({url, init});
      return handler(url, init);
    }) as typeof fetch,
    server: () => server,
    clock: {sleep: async () => undefined, random: () => 0.5},
    ...more,
  });
  return {api, seen, server};
}
const json = (body: unknown, init: ResponseInit = {}) =>
  new Response(JSON.stringify(body), {...init, headers: {'content-type': 'application/json', ...(init.headers as Record<string, string>)}});
const error = (status: number, code: string) => json({error: code, message: 'm', details: {}, timestamp: ''}, {status});
const bodyOf = (call: {body: Uint8Array}) => JSON.parse(new TextDecoder().decode(call.body)) as Record<string, unknown>;

test('bodies have the wire’s own names, and nothing that was left empty', () => {
  expect(bodyOf(imageCall({prompt: ' a cat ', negativePrompt: '', width: 512, height: 256, seed: 0, model: ' '}))).toEqual({
    prompt: 'a cat', width: 512, height: 256, seed: 0,
  });
  const picture = {bytes: Uint8Array.of(1, 2, 3), type: 'image/png', width: 8, height: 8};
  expect(bodyOf(editCall({picture, prompt: 'x', strength: 0.5}))).toEqual({prompt: 'x', strength: 0.5, image: 'AQID'});
  // With a mask there is no strength: it belongs to changing the whole picture.
  expect(bodyOf(editCall({picture, mask: Uint8Array.of(255), prompt: 'x', strength: 0.5}))).toEqual({prompt: 'x', image: 'AQID', mask: '/w=='});
  expect(bodyOf(speechCall({text: 'hi', speakerId: 3}))).toEqual({text: 'hi', speaker_id: 3});
  expect(bodyOf(embeddingCall({text: 'hi', model: 'a/b'}))).toEqual({text: 'hi', model: 'a/b'});
  expect(bodyOf(chatCall({messages: [{role: 'user', content: 'q'}], maxTokens: 5, temperature: 0}, true))).toEqual({
    messages: [{role: 'user', content: 'q'}], max_tokens: 5, temperature: 0, stream: true,
  });
});

test('speech goes out as multipart with the sound in a part named audio', async () => {
  const call = transcriptCall({audio: Uint8Array.of(0, 255, 13, 10), filename: 'a"b.wav', type: 'audio/wav', language: 'de'});
  const response = new Response(call.body, {headers: {'content-type': call.contentType}});
  // React Native's types know a smaller FormData than the platforms have.
  const form = (await response.formData()) as unknown as Map<string, File | string>;
  const file = form.get('audio') as File;
  expect(new Uint8Array(await file.arrayBuffer())).toEqual(Uint8Array.of(0, 255, 13, 10));
  expect(form.get('language')).toBe('de');
  expect(form.has('model')).toBe(false);
});

test('the server, its headers and the token are read at every request', async () => {
  const {api, seen, server} = house(() => json({status: 'healthy'}));
  await api.health();
  server.address = 'https://two/base/';
  server.headers = {'X-Team': 'blue'};
  server.token = 'secret';
  await api.health();
  expect(seen.map((one) => one.url)).toEqual(['http://one/health', 'https://two/base/health']);
  expect(seen[1]!.init.headers).toMatchObject({Authorization: 'Bearer secret', 'X-Team': 'blue'});
});

test('interceptors see and change what goes out, and see what comes back', async () => {
  const statuses: number[] = [];
  const {api, seen} = house(() => json({embedding: [1]}, {status: 200}));
  const remove = api.use({
    request: (outgoing) => ({...outgoing, headers: {...outgoing.headers, 'X-More': '1'}}),
    response: (incoming) => statuses.push(incoming.status),
  });
  await api.send(embeddingCall({text: 'a'}));
  remove();
  await api.send(embeddingCall({text: 'b'}));
  expect(seen.map((one) => (one.init.headers as Record<string, string>)['X-More'])).toEqual(['1', undefined]);
  expect(statuses).toEqual([200]);
});

test('a request with a key is sent again when the network fails; one without is not', async () => {
  let n = 0;
  const {api, seen} = house(() => {
    if (n++ < 2) throw new TypeError('failed to fetch');
    return json({embedding: [1]});
  });
  await api.send(embeddingCall({text: 'a'}), {key: 'k'});
  expect(seen.map((one) => (one.init.headers as Record<string, string>)['Idempotency-Key'])).toEqual(['k', 'k', 'k']);
  n = 0;
  await expect(api.send(embeddingCall({text: 'a'}))).rejects.toMatchObject({problem: {kind: 'unreachable'}});
  expect(seen).toHaveLength(4);
});

test('answers that tell of a mistake are not asked for again', async () => {
  const {api, seen} = house(() => error(422, 'validation_error'));
  await expect(api.send(imageCall({prompt: ''}), {key: 'k'})).rejects.toMatchObject({problem: {kind: 'invalid'}});
  expect(seen).toHaveLength(1);
});

test('cancelling ends a request, and a limit of time does so by itself', async () => {
  const hang: Handler = (_, init) =>
    new Promise((_resolve, reject) => init.signal!.addEventListener('abort', () => reject(new DOMException('', 'AbortError'))));
  const {api} = house(hang);
  const abort = new AbortController();
  const sent = api.send(imageCall({prompt: 'x'}), {signal: abort.signal});
  abort.abort();
  await expect(sent).rejects.toMatchObject({problem: {kind: 'cancelled'}});
  await expect(api.send(imageCall({prompt: 'x'}), {timeoutMs: 5})).rejects.toMatchObject({problem: {kind: 'timeout'}});
});

test('stand-ins are known by their header or their body', async () => {
  const {api} = house((url) =>
    url.endsWith('/embedding') ? json({embedding: [1], placeholder: true}) : new Response('x', {headers: {'x-placeholder': 'true', 'content-type': 'image/png', 'x-model': 'local/picture'}}),
  );
  expect(await api.send(embeddingCall({text: 'a'}))).toMatchObject({placeholder: true});
  expect(await api.send(imageCall({prompt: 'a'}))).toMatchObject({placeholder: true, model: 'local/picture', type: 'image/png'});
});

function stream(pieces: string[], onCancel?: () => void): Response {
  const encoder = new TextEncoder();
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at < pieces.length) controller.enqueue(encoder.encode(pieces[at++]));
      else if (onCancel === undefined) controller.close();
      else return new Promise(() => undefined);
      return undefined;
    },
    ...(onCancel && {cancel: onCancel}),
  });
  return new Response(body, {headers: {'content-type': 'text/event-stream', 'x-model': 'a/b'}});
}
async function read(chat: AsyncGenerator<ChatPiece>): Promise<ChatPiece[]> {
  const all: ChatPiece[] = [];
  for await (const piece of chat) all.push(piece);
  return all;
}
const wish = {messages: [{role: 'user' as const, content: 'q'}]};

test('a streamed answer comes in pieces, however the frames are cut', async () => {
  const {api} = house(() => stream(['data: {"resp', 'onse": "Hel"}\n\ndata: {"response": "lo"}\n', '\n: ping\n\ndata: {"done": true, "model": "a/c", "tokens_used": 7}\n\n']));
  expect(await read(api.chat(wish))).toEqual([
    {state: 'piece', text: 'Hel'},
    {state: 'piece', text: 'lo'},
    {state: 'done', model: 'a/c', tokens: 7, placeholder: false},
  ]);
});

test('a server that does not stream answers in one piece', async () => {
  const {api} = house(() => json({response: 'whole', model: 'a/b', tokens_used: 3, placeholder: true}));
  expect(await read(api.chat(wish))).toEqual([
    {state: 'piece', text: 'whole'},
    {state: 'done', model: 'a/b', tokens: 3, placeholder: true},
  ]);
});

test('an error in the stream and an end before the end are problems', async () => {
  const body = JSON.stringify({error: 'huggingface_api_error', message: 'gone', details: {}, timestamp: ''});
  const failing = house(() => stream(['data: {"response": "a"}\n\n', `event: error\ndata: ${body}\n\n`])).api;
  await expect(read(failing.chat(wish))).rejects.toMatchObject({problem: {kind: 'provider', message: 'gone'}});
  const cut = house(() => stream(['data: {"response": "a"}\n\n'])).api;
  await expect(read(cut.chat(wish))).rejects.toMatchObject({problem: {kind: 'interrupted'}});
});

test('leaving a stream tells the server', async () => {
  const onCancel = jest.fn();
  const {api} = house(() => stream(['data: {"response": "a"}\n\n'], onCancel));
  for await (const piece of api.chat(wish)) {
    expect(piece).toEqual({state: 'piece', text: 'a'});
    break;
  }
  expect(onCancel).toHaveBeenCalled();
});

test('a server’s list of models is read in each of its usual shapes', () => {
  const named = (body: unknown) => Object.fromEntries(Object.entries(modelList(body)).map(([capability, models]) => [capability, models.map(({name}) => name)]));
  expect(named({image: ['a/b'], embeddings: [{id: 'c/d'}]})).toEqual({image: ['a/b'], embedding: ['c/d']});
  expect(named({models: [{id: 'a/b', capabilities: ['llm', 'tts']}]})).toEqual({llm: ['a/b'], tts: ['a/b']});
  expect(named({data: [{id: 'a/b', capability: 'chat'}]})).toEqual({llm: ['a/b']});
  // As this platform tells them.
  const ours = {
    capabilities: {image_edit: {models: [{id: 'a/b', state: 'not_served', placeholder: false}, {id: 'local/x', state: 'served', placeholder: true}, {id: 'c/d', state: 'unknown'}]}},
    aliases: {best: 'a/b'},
  };
  expect(modelList(ours)).toEqual({
    'edit-image': [
      {name: 'a/b', placeholder: false, state: 'away'},
      {name: 'local/x', placeholder: true, state: 'served'},
      {name: 'c/d', placeholder: false, state: 'unknown'},
    ],
  });
  expect(modelList([1, null])).toEqual({});
});

test('replies of the wrong shape are not taken for answers', async () => {
  const {api} = house(() => json({words: 'x'}));
  const answer = await api.send(transcriptCall({audio: Uint8Array.of(1), filename: 'a', type: 'audio/wav'}));
  expect(() => transcriptReply(answer)).toThrow(expect.objectContaining({problem: expect.objectContaining({kind: 'not-ours'})}));
});

test('what the server would refuse is refused before the upload', () => {
  expect(refusal({prompt: ' ', width: 100, height: 4096, model: '../x'}, 10)).toEqual({prompt: 'empty', width: 'side', height: 'side', model: 'model'});
  expect(refusal({text: '12345678901'}, 10)).toEqual({text: 'long'});
  expect(refusal({prompt: 'fine', width: 512, height: 768, model: 'org/name', bytes: limits.uploadBytes}, 10)).toEqual({});
});
