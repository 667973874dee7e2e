import {act, fireEvent, screen, waitFor} from '@testing-library/react-native';

import {House, refusal} from './house';
import {memoryStorage} from '../../src/services/storage';

const press = (label: string | RegExp) => fireEvent.press(screen.getAllByText(label).at(-1)!);
const type = (label: string, text: string) => fireEvent.changeText(screen.getByLabelText(label), text);
const see = (text: string | RegExp) => waitFor(() => expect(screen.getAllByText(text).length).toBeGreaterThan(0), {timeout: 4000});

test('the first start leads through the server in three taps', async () => {
  const house = await House.open({firstStart: true});
  type('Address', 'ai.example.org');
  press('Test connection');
  await see(/It works/);
  press('Start');
  await see('What shall it be?');
  expect(house.services.settings.current()).toMatchObject({address: 'https://ai.example.org', name: 'ai.example.org'});
});

test('a picture is made and kept, with what it was made from', async () => {
  const house = await House.open();
  press('Make a picture');
  type('Description', 'A lighthouse');
  press('Make the picture');
  await see('Use in editor');
  expect(house.services.library.items.get()).toMatchObject([
    {kind: 'image', title: 'A lighthouse', model: 'a/picture', width: 8, height: 8, about: {width: 512, height: 512}},
  ]);
  expect(house.asked.find((one) => one.path === '/image')?.key).toMatch(/^app-/);
});

test('an empty description is refused without asking the server', async () => {
  const house = await House.open();
  press('Make a picture');
  press('Make the picture');
  await see('must not be empty');
  expect(house.asksFor('/image')).toBe(0);
});

test('what the server refuses is said in words, with the fields and the request’s name', async () => {
  await House.open({answers: {'/image': () => refusal(502, 'huggingface_api_error', 'the provider said no')}});
  press('Make a picture');
  type('Description', 'x');
  press('Make the picture');
  await see('The model could not do it');
  await see('the provider said no');
  await see('Request r-7');
  await see('Try again');
});

test('stand-ins are labelled', async () => {
  await House.open({
    answers: {'/tts': () => new Response(new Uint8Array(4), {headers: {'content-type': 'audio/wav', 'x-placeholder': 'true'}})},
  });
  press('Text to speech');
  type('Text', 'Hello');
  press('Speak');
  await see('Stand-in answer');
});

test('without the server a request waits, is seen, survives a restart and is sent once', async () => {
  const storage = memoryStorage();
  const first = await House.open();
  first.reachable = false;
  // Another life of the app over the same storage comes later: copy what this one writes.
  press('Make a picture');
  type('Description', 'Later');
  press('Make the picture');
  await see('Waiting for the server');
  await see(/1 request waits/);
  press('Show the queue');
  await see('Waiting: 1, done: 0, failed: 0');
  for (const name of await first.storage.values.names()) await storage.values.set(name, (await first.storage.values.get(name))!);
  for (const name of await first.storage.outbox.names()) {
    const file = (await first.storage.outbox.read(name))!;
    await storage.outbox.write(name, file.bytes, file.type);
  }
  screen.unmount();

  const second = await House.open({storage});
  await waitFor(() => expect(second.services.outbox.jobs.get()[0]?.state).toBe('done'));
  expect(second.asksFor('/image')).toBe(1);
  expect(second.services.library.items.get()).toMatchObject([{title: 'Later'}]);
});

test('an answer is written into the chat as markdown, and can be asked for again', async () => {
  const house = await House.open();
  press('Ask, and read the answer as it is written');
  fireEvent.changeText(screen.getByTestId('chat-input'), 'Capital of France?');
  fireEvent.press(screen.getByLabelText('Send'));
  await see('Paris');
  expect(screen.queryByText(/\*\*/)).toBeNull();
  fireEvent.press(screen.getByLabelText('Answer again'));
  await waitFor(() => expect(house.asksFor('/llm')).toBe(2));
  await waitFor(() => expect(house.services.chats.all.get()[0]?.messages).toHaveLength(2));
  expect(house.services.chats.all.get()[0]?.title).toBe('Capital of France?');
});

test('texts are compared, and comparing them again asks no server', async () => {
  const house = await House.open();
  press('Compare texts');
  type('Text 1', 'one');
  type('Text 2', 'three');
  press('Compare');
  await see('How alike');
  await see('Nearest');
  expect(house.asksFor('/embedding')).toBe(2);
  press('Compare');
  await act(async () => undefined);
  await see('How alike');
  expect(house.asksFor('/embedding')).toBe(2);
});

test('the language can be changed, and everything changes with it', async () => {
  const house = await House.open();
  await act(() => house.services.settings.update({language: 'de'}));
  await see('Was soll es sein?');
  await see('Bild erzeugen');
});

test('without a microphone the recorder says what to do', async () => {
  await House.open();
  press('Speech to text');
  press('Record');
  await see('The microphone is not allowed.');
});

test('everything can be deleted', async () => {
  const house = await House.open();
  await house.services.chats.create();
  await act(() => house.services.deleteAll());
  await see('Welcome');
  expect(await house.storage.values.names()).toEqual([]);
  expect(await house.storage.media.names()).toEqual([]);
});
