import {createSearch, type Findable} from '../../src/services/search';
import {memoryStorage} from '../../src/services/storage';

const texts = ['a lighthouse at dusk', 'a beacon by the sea in the evening', 'bread with butter'];
const entries: Findable[] = texts.map((text, i) => ({id: `${i}`, text, where: {kind: 'chat', chatId: 'c'}}));
/** The first two mean the same and share no word worth the name. */
const meanings: Record<string, number[]> = {[texts[0]!]: [1, 0.1], [texts[1]!]: [0.98, 0.2], [texts[2]!]: [0, 1], 'tower of light': [1, 0]};

function searchOn(storage = memoryStorage()) {
  const server = {isThere: true, asked: 0};
  const search = createSearch({
    blobs: storage.media,
    embed: async (text) => {
      server.asked++;
      if (!server.isThere) throw new Error('not reached');
      return meanings[text]!;
    },
  });
  return {storage, server, search};
}
const ids = (found: {entry: Findable}[]) => found.map(({entry}) => entry.id);

test('what was embedded once is found by meaning, without being embedded again', async () => {
  const {search, server} = searchOn();
  expect(await search.prepare(entries)).toEqual({made: 3, missing: 0});
  expect(await search.prepare(entries)).toEqual({made: 0, missing: 0});
  const {by, found} = await search.find('tower of light', entries);
  expect([by, ids(found).slice(0, 2)]).toEqual(['meaning', ['0', '1']]);
  expect(server.asked).toBe(4);
});

test('after a restart and without the server, what means something alike is found too', async () => {
  const {search, storage} = searchOn();
  await search.prepare(entries);
  const later = searchOn(storage);
  later.server.isThere = false;
  const {by, found} = await later.search.find('lighthouse', entries);
  expect(by).toBe('likeness');
  expect(ids(found)).toEqual(['0', '1']);
});

test('with no vectors at all, spelling remains', async () => {
  const {search, server} = searchOn();
  server.isThere = false;
  expect(await search.prepare(entries)).toEqual({made: 0, missing: 3});
  const {by, found} = await search.find('butter', entries);
  expect([by, ids(found)]).toEqual(['spelling', ['2']]);
});
