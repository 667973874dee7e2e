import {crc32} from 'node:zlib';

import {createServices} from '../../src/services/app';
import {createArchive} from '../../src/services/archive';
import {memoryStorage} from '../../src/services/storage';
import {concat, fromUtf8, utf8} from '../../src/utils/bytes';

/** Reads what another program reads: the list at the end, and what it points at. */
function files(zip: Uint8Array): Record<string, Uint8Array> {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const end = zip.length - 22;
  expect(view.getUint32(end, true)).toBe(0x06054b50);
  const count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  expect(at + view.getUint32(end + 12, true)).toBe(end);
  const found: Record<string, Uint8Array> = {};
  for (let i = 0; i < count; i++) {
    expect(view.getUint32(at, true)).toBe(0x02014b50);
    const [sum, size, length, start] = [view.getUint32(at + 16, true), view.getUint32(at + 24, true), view.getUint16(at + 28, true), view.getUint32(at + 42, true)];
    const name = fromUtf8(zip.subarray(at + 46, at + 46 + length));
    expect(view.getUint32(start, true)).toBe(0x04034b50);
    expect(fromUtf8(zip.subarray(start + 30, start + 30 + length))).toBe(name);
    // The list and the head of the file agree from the version on.
    expect(zip.subarray(start + 4, start + 30)).toEqual(zip.subarray(at + 6, at + 32));
    const bytes = zip.subarray(start + 30 + length, start + 30 + length + size);
    expect(crc32(bytes)).toBe(sum);
    found[name] = bytes;
    at += 46 + length;
  }
  return found;
}

test('an archive holds its files under their names, also in other scripts, and an empty one is whole', () => {
  const pieces: Uint8Array[] = [];
  const archive = createArchive((piece) => void pieces.push(piece));
  const big = Uint8Array.from({length: 70_000}, (_, i) => (i * 7) & 255);
  archive.add('a.txt', utf8('one'), new Date(2026, 0, 2, 3, 4, 6));
  archive.add('Bücher/絵.png', big, new Date(1970, 0, 1));
  archive.add('nothing', new Uint8Array(0), new Date());
  archive.end();
  expect(files(concat(pieces))).toEqual({'a.txt': utf8('one'), 'Bücher/絵.png': big, nothing: new Uint8Array(0)});
  const none: Uint8Array[] = [];
  createArchive((piece) => void none.push(piece)).end();
  expect(files(concat(none))).toEqual({});
});

test('what is taken out has the chats, the list and the files of it, and no secrets', async () => {
  const services = createServices({storage: memoryStorage(), home: null, shrink: async (bytes) => ({bytes, type: 'image/jpeg'}), fetch: fetch});
  await services.open();
  await services.settings.saveServer({name: 'Home', address: 'http://ai', headers: {'x-own': 'hush'}}, 'a secret');
  await services.chats.create({system: 'Be brief'});
  const picture = Uint8Array.of(0x89, 0x50, 0x4e, 0x47);
  await services.library.add({id: 'p', kind: 'image', title: 'A lighthouse', about: {}, createdAt: 1, type: 'image/png'}, picture);
  await services.library.add({id: 's', kind: 'tts', title: 'Hello', about: {}, createdAt: 2, type: 'audio/wav'}, utf8('RIFF'));
  await services.library.add({id: 'gone', kind: 'tts', title: 'Gone', about: {}, createdAt: 3, type: 'audio/wav'}, utf8('RIFF'));
  await services.storage.media.remove('gone');

  const pieces: Uint8Array[] = [];
  await services.exportAll((piece) => void pieces.push(piece));
  const found = files(concat(pieces));
  expect(Object.keys(found).sort()).toEqual(['data.json', 'files/p.png', 'files/s.wav']);
  expect(found['files/p.png']).toEqual(picture);
  const text = fromUtf8(found['data.json']!);
  expect(JSON.parse(text)).toMatchObject({
    conversations: [{system: 'Be brief'}],
    library: [{id: 'gone'}, {id: 's', file: 'files/s.wav'}, {id: 'p', title: 'A lighthouse', file: 'files/p.png'}],
    settings: {servers: [{name: 'Home', address: 'http://ai'}]},
  });
  expect(text).not.toMatch(/a secret|hush/);
});
