import {inlines, parseMarkdown, spoken} from '../../src/services/markdown';
import {SentenceCutter} from '../../src/services/sentences';

const kinds = (source: string) => parseMarkdown(source).map((block) => block.kind);

test('blocks are told apart', () => {
  expect(kinds('# Title\n\nText\n\n---\n\n> quote\n\n- a\n- b\n\n```js\ncode\n```')).toEqual(['heading', 'paragraph', 'rule', 'quote', 'list', 'code']);
});

test('code keeps its lines and its language, and nothing in it is read as signs', () => {
  expect(parseMarkdown('```python\ndef f():\n    return "*x*"\n\n# no heading\n```')).toEqual([
    {kind: 'code', language: 'python', text: 'def f():\n    return "*x*"\n\n# no heading'},
  ]);
});

test('a fence that is still open runs to the end: the answer is still being written', () => {
  expect(parseMarkdown('Look:\n```\nlet x')).toEqual([
    {kind: 'paragraph', children: [{kind: 'text', text: 'Look:'}]},
    {kind: 'code', language: '', text: 'let x'},
  ]);
});

test('lists nest, count on, and hold code', () => {
  const [list] = parseMarkdown('3. one\n   - inner\n   - more\n4. two\n   ```\n   x\n   ```');
  expect(list).toMatchObject({kind: 'list', ordered: true, start: 3});
  if (list?.kind !== 'list') throw new Error('no list');
  expect(list.items).toHaveLength(2);
  expect(list.items[0]!.map((block) => block.kind)).toEqual(['paragraph', 'list']);
  expect(list.items[1]!.map((block) => block.kind)).toEqual(['paragraph', 'code']);
  // A blank line between items does not end a list.
  const [loose] = parseMarkdown('- a\n\n- b\n\n- c');
  expect(loose?.kind === 'list' && loose.items.length).toBe(3);
});

test('tables have columns with their sides, and rows of the right length', () => {
  const [table] = parseMarkdown('| a | b |\n|:--|--:|\n| 1 | 2 | 3 |\n| x \\| y |');
  expect(table).toEqual({
    kind: 'table',
    align: ['left', 'right'],
    head: [[{kind: 'text', text: 'a'}], [{kind: 'text', text: 'b'}]],
    rows: [
      [[{kind: 'text', text: '1'}], [{kind: 'text', text: '2'}]],
      [[{kind: 'text', text: 'x | y'}], []],
    ],
  });
});

test('signs in a line', () => {
  expect(inlines('a **b _c_** `d*` ~~e~~ \\*f\\* snake_case_name')).toEqual([
    {kind: 'text', text: 'a '},
    {kind: 'strong', children: [{kind: 'text', text: 'b '}, {kind: 'emphasis', children: [{kind: 'text', text: 'c'}]}]},
    {kind: 'text', text: ' '},
    {kind: 'code', text: 'd*'},
    {kind: 'text', text: ' '},
    {kind: 'strike', children: [{kind: 'text', text: 'e'}]},
    {kind: 'text', text: ' *f* snake_case_name'},
  ]);
  expect(inlines('2 * 3 * 4')).toEqual([{kind: 'text', text: '2 * 3 * 4'}]);
});

test('links lead to pages and mails only', () => {
  expect(inlines('[a](https://x.org/y_(z)) https://x.org.')).toEqual([
    {kind: 'link', href: 'https://x.org/y_(z)', children: [{kind: 'text', text: 'a'}]},
    {kind: 'text', text: ' '},
    {kind: 'link', href: 'https://x.org', children: [{kind: 'text', text: 'https://x.org'}]},
    {kind: 'text', text: '.'},
  ]);
  expect(inlines('[a](javascript:alert)')).toEqual([{kind: 'text', text: 'a'}]);
});

test('no text breaks it, whole or cut anywhere', () => {
  const source = '# a\n> - *b* `c\n\n| d | e |\n|--|--|\n| [f](g) **h\n```\n1. i\n> > > > > > > > > > j\n***\n~~~x';
  for (let end = 0; end <= source.length; end++) expect(() => parseMarkdown(source.slice(0, end))).not.toThrow();
  expect(() => parseMarkdown('> '.repeat(5000))).not.toThrow();
  const startedAt = performance.now();
  parseMarkdown('*a _b `c [d '.repeat(2000));
  expect(performance.now() - startedAt).toBeLessThan(3000);
});

test('reading aloud says the words, not the signs and not the code', () => {
  expect(spoken('## Hi\n**Bold** [link](https://x.org)\n```\nx = 1\n```\n- one\n- two')).toBe('Hi\nBold link\none\ntwo');
});

function cut(pieces: string[], max?: number): string[] {
  const cutter = new SentenceCutter(max);
  return [...pieces.flatMap((piece) => cutter.push(piece)), ...cutter.end()];
}

test('sentences are cut the same however the text arrives', () => {
  const text = 'Dr. Who costs 3.50 dollars. Really? Yes! “Well,” she said… z.B. so. 日本語です。はい！\nNew line';
  const expected = ['Dr. Who costs 3.50 dollars.', 'Really?', 'Yes!', '“Well,” she said…', 'z.B. so.', '日本語です。', 'はい！', 'New line'];
  expect(cut([text])).toEqual(expected);
  expect(cut([...text])).toEqual(expected);
});

test('a sentence without end is cut at a word, and signs alone are not spoken', () => {
  expect(cut(['word '.repeat(10)], 22)).toEqual(['word word word word', 'word word word word', 'word word']);
  expect(cut(['--- \n *** \n'])).toEqual([]);
});
