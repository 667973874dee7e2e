import {SseParser, type ServerEvent} from '../../src/services/sse';

const source = [
  '\ufeff: keep-alive\r\n\r\n',
  'data: {"response": "Grüße 👋"}\r\n\r\n',
  'event: note\ndata: one\ndata: two\n\n',
  'data:no space\rid: 7\r\r',
  'data\n\n',
  'event: lost without data\n\n',
  'data: {"done": true}\n\n',
  'data: cut off',
].join('');
const expected: ServerEvent[] = [
  {event: 'message', data: '{"response": "Grüße 👋"}', id: null},
  {event: 'note', data: 'one\ntwo', id: null},
  {event: 'message', data: 'no space', id: '7'},
  {event: 'message', data: '', id: '7'},
  {event: 'message', data: '{"done": true}', id: '7'},
];

test('events are the same wherever the bytes are cut in two', () => {
  const bytes = new TextEncoder().encode(source);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const parser = new SseParser();
    const events = [...parser.push(bytes.subarray(0, cut)), ...parser.push(bytes.subarray(cut)), ...parser.end()];
    expect(events).toEqual(expected);
  }
});

test('events are the same when the bytes come one by one', () => {
  const parser = new SseParser();
  const events = [...new TextEncoder().encode(source)].flatMap((byte) => parser.push(Uint8Array.of(byte)));
  expect([...events, ...parser.end()]).toEqual(expected);
});
