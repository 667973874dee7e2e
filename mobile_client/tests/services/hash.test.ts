import {createHash} from 'node:crypto';

import {requestKey, sha256, stableJson} from '../../src/services/hash';

test('the hash is SHA-256 at every length around a block', () => {
  for (const length of [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 1000, 100_003]) {
    const bytes = Uint8Array.from({length}, (_, i) => (i * 31 + length) & 255);
    expect(sha256(bytes)).toBe(createHash('sha256').update(bytes).digest('hex'));
  }
  expect(sha256('naïve 日本')).toBe(createHash('sha256').update('naïve 日本').digest('hex'));
});

test('equal requests have one key, whatever the order of their fields', () => {
  expect(stableJson({b: [1, {d: 1, c: 2}], a: undefined})).toBe('{"b":[1,{"c":2,"d":1}]}');
  expect(requestKey('s', '/image', {a: 1, b: 2})).toBe(requestKey('s', '/image', {b: 2, a: 1}));
  expect(requestKey('s', '/image', {a: 1})).not.toBe(requestKey('t', '/image', {a: 1}));
});
