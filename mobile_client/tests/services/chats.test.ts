import {createChats, isConversation, type Message, searchChats, turnsOf} from '../../src/services/chats';
import {memoryStorage, type Storage} from '../../src/services/storage';

let n = 0;
const house = (storage: Storage = memoryStorage()) => ({
  storage,
  chats: createChats({values: storage.values, newId: () => `c${++n}`, now: () => ++n}),
});
const said = (role: Message['role'], content: string): Message => ({id: `m${++n}`, role, content, at: n});

test('a conversation is there again after a restart, with its draft and parameters', async () => {
  const {chats, storage} = house();
  const one = await chats.create({system: 'Be brief', model: 'a/b'});
  await chats.setMessages(one.id, [said('user', 'What is the capital of France?'), said('assistant', 'Paris.')]);
  await chats.set(one.id, {draft: 'And of', temperature: 0});
  const again = house(storage).chats;
  await again.open();
  expect(again.find(one.id)).toMatchObject({
    title: 'What is the capital of France?', system: 'Be brief', model: 'a/b', draft: 'And of', temperature: 0,
    messages: [{content: 'What is the capital of France?'}, {content: 'Paris.'}],
  });
});

test('a title given by hand stays', async () => {
  const {chats} = house();
  const one = await chats.create();
  await chats.rename(one.id, ' Geography ');
  await chats.setMessages(one.id, [said('user', 'Something else')]);
  expect(chats.find(one.id)?.title).toBe('Geography');
});

test('every word is searched for, without accents and case, and the place is shown', async () => {
  const {chats} = house();
  const one = await chats.create();
  await chats.setMessages(one.id, [said('user', `${'x '.repeat(60)}Où est le CAFÉ, s'il vous plaît ?`)]);
  const two = await chats.create();
  await chats.setMessages(two.id, [said('user', 'Coffee')]);
  const found = searchChats(chats.all.get(), 'cafe plait');
  expect(found.map((hit) => hit.conversation.id)).toEqual([one.id]);
  expect(found[0]!.excerpt).toContain('CAFÉ');
  expect(searchChats(chats.all.get(), '').map((hit) => hit.conversation.id)).toEqual([two.id, one.id]);
});

test('forking copies up to one message; deleting takes many', async () => {
  const {chats, storage} = house();
  const one = await chats.create();
  const messages = [said('user', 'a'), said('assistant', 'b'), said('user', 'c')];
  await chats.setMessages(one.id, messages);
  const copy = await chats.fork(one.id, messages[1]!.id);
  expect(chats.find(copy!.id)?.messages.map((message) => message.content)).toEqual(['a', 'b']);
  await chats.remove([one.id, copy!.id]);
  expect(chats.all.get()).toEqual([]);
  expect((await storage.values.names()).filter((name) => name.startsWith('chat:'))).toEqual([]);
});

test('what is exported can be imported elsewhere, once, and nonsense brings in nothing', async () => {
  const {chats} = house();
  const one = await chats.create();
  await chats.setMessages(one.id, [said('user', 'keep me')]);
  const file = chats.exported();
  const other = house().chats;
  expect(await other.imported(file)).toBe(1);
  expect(await other.imported(file)).toBe(0);
  expect(other.find(one.id)).toEqual(chats.find(one.id));
  expect(await other.imported('{')).toBe(0);
  expect(await other.imported('{"conversations": [{"id": 1}, null]}')).toBe(0);
  expect(isConversation({...chats.find(one.id), messages: [{role: 'root'}]})).toBe(false);
});

test('what is sent fits the server: the system prompt and the newest turns', async () => {
  const {chats} = house();
  const one = await chats.create({system: 'S'});
  const messages = Array.from({length: 10}, (_, i) => said(i % 2 === 0 ? 'user' : 'assistant', `${i}`.repeat(10)));
  await chats.setMessages(one.id, [...messages, said('assistant', '')]);
  const chat = chats.find(one.id)!;
  expect(turnsOf(chat, {messages: 4, chars: 1000}).map((turn) => turn.content[0])).toEqual(['S', '7', '8', '9']);
  expect(turnsOf(chat, {messages: 100, chars: 25}).map((turn) => turn.content[0])).toEqual(['S', '8', '9']);
  // The last question goes out even when it alone is too long; the server then says so.
  expect(turnsOf(chat, {messages: 100, chars: 5})).toHaveLength(2);
});
