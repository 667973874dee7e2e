import {inflateSync} from 'node:zlib';

import {encodeMask, pictureSize} from '../../src/services/png';
import {crc32} from '../../src/utils/crc';
import {coverage, draw, type Drawing, type Edit, extend, fitted, nothingDrawn, rasterise, redo, undo} from '../../src/services/strokes';

/** Numbers that look random and are the same every time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What the mask means, said as plainly as possible: every pixel's centre against every segment. */
function bruteForce(edits: readonly Edit[], width: number, height: number): {mask: Uint8Array; unsure: Set<number>} {
  const mask = new Uint8Array(width * height);
  const unsure = new Set<number>();
  for (const edit of edits) {
    if (edit.kind === 'clear') mask.fill(0);
    if (edit.kind === 'invert') mask.forEach((value, i) => (mask[i] = 1 - value));
    if (edit.kind !== 'stroke') continue;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let nearest = Infinity;
        const p = edit.points;
        for (let i = 0; i + 1 < p.length; i += 2) {
          const [ax, ay] = [p[i]!, p[i + 1]!];
          const [bx, by] = [p[i + 2] ?? ax, p[i + 3] ?? ay];
          const [dx, dy] = [bx - ax, by - ay];
          const length = dx * dx + dy * dy;
          const t = length === 0 ? 0 : Math.max(0, Math.min(1, ((x + 0.5 - ax) * dx + (y + 0.5 - ay) * dy) / length));
          nearest = Math.min(nearest, Math.hypot(x + 0.5 - ax - t * dx, y + 0.5 - ay - t * dy));
        }
        if (nearest <= edit.size / 2) mask[y * width + x] = edit.tool === 'brush' ? 1 : 0;
        // On the very edge the last bit of a float decides.
        if (Math.abs(nearest - edit.size / 2) < 1e-9) unsure.add(y * width + x);
      }
    }
  }
  return {mask, unsure};
}

function randomEdits(random: () => number, width: number, height: number): Edit[] {
  return Array.from({length: 1 + Math.floor(random() * 6)}, (): Edit => {
    const choice = random();
    if (choice < 0.1) return {kind: 'invert'};
    if (choice < 0.15) return {kind: 'clear'};
    const points = Array.from({length: 2 * (1 + Math.floor(random() * 5))}, (_, i) => {
      const side = i % 2 === 0 ? width : height;
      const value = (random() * 1.6 - 0.3) * side;
      return random() < 0.3 ? Math.round(value) : value;
    });
    return {kind: 'stroke', tool: random() < 0.7 ? 'brush' : 'eraser', size: random() < 0.2 ? 1 : random() * 30, points};
  });
}

test('the mask is pixel for pixel the one of a brute-force rasteriser', () => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = dice(seed);
    const width = 1 + Math.floor(random() * 70);
    const height = 1 + Math.floor(random() * 60);
    const edits = randomEdits(random, width, height);
    const {mask, unsure} = bruteForce(edits, width, height);
    const ours = rasterise(edits, width, height);
    const wrong = [...ours.keys()].filter((i) => ours[i] !== mask[i] && !unsure.has(i));
    expect({seed, wrong}).toEqual({seed, wrong: []});
  }
});

test('undo, redo, clear and invert are steps like any other', () => {
  const dot = (x: number): Edit => ({kind: 'stroke', tool: 'brush', size: 2, points: [x, 2]});
  const steps = [dot(2), dot(6), {kind: 'invert'}, {kind: 'clear'}] as Edit[];
  let drawing: Drawing = nothingDrawn;
  const seen = steps.map((step) => {
    drawing = draw(drawing, step);
    return rasterise(drawing.edits, 8, 4).join('');
  });
  for (let i = seen.length - 2; i >= 0; i--) {
    drawing = undo(drawing);
    expect(rasterise(drawing.edits, 8, 4).join('')).toBe(seen[i]);
  }
  for (let i = 1; i < seen.length; i++) {
    drawing = redo(drawing);
    expect(rasterise(drawing.edits, 8, 4).join('')).toBe(seen[i]);
  }
  // A new stroke ends what could be redone.
  expect(redo(draw(undo(drawing), dot(4))).undone).toEqual([]);
  expect(undo(nothingDrawn)).toBe(nothingDrawn);
  expect(coverage(rasterise([{kind: 'invert'}], 5, 5))).toBe(1);
});

test('points nearer than half a pixel are left out', () => {
  expect(extend([1, 1], 1.2, 1.2)).toBeNull();
  expect(extend([1, 1], 3, 1)).toEqual([1, 1, 3, 1]);
});

function decode(png: Uint8Array): {width: number; height: number; bits: number; color: number; pixels: number[]} {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  expect([...png.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]);
  const data: Uint8Array[] = [];
  let head: Uint8Array | null = null;
  const names: string[] = [];
  for (let at = 8; at < png.length; ) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...png.subarray(at + 4, at + 8));
    const body = png.subarray(at + 8, at + 8 + length);
    expect(view.getUint32(at + 8 + length)).toBe(crc32(png.subarray(at + 4, at + 8 + length)));
    names.push(name);
    if (name === 'IHDR') head = body;
    if (name === 'IDAT') data.push(body);
    at += 12 + length;
  }
  expect(names).toEqual(['IHDR', 'IDAT', 'IEND']);
  const headView = new DataView(head!.buffer, head!.byteOffset);
  const [width, height] = [headView.getUint32(0), headView.getUint32(4)];
  const raw = inflateSync(Buffer.concat(data));
  const stride = Math.ceil(width / 8) + 1;
  expect(raw.length).toBe(stride * height);
  const pixels: number[] = [];
  for (let y = 0; y < height; y++) {
    expect(raw[y * stride]).toBe(0);
    for (let x = 0; x < width; x++) pixels.push((raw[y * stride + 1 + (x >> 3)]! >> (7 - (x & 7))) & 1);
  }
  return {width, height, bits: head![8]!, color: head![9]!, pixels};
}

test('the file has exactly the picture’s size, one bit per pixel, and every pixel as drawn', () => {
  for (const [width, height] of [[1, 1], [7, 3], [8, 8], [9, 2], [641, 11], [64, 64]] as const) {
    const random = dice(width * height);
    const pixels = Uint8Array.from({length: width * height}, () => (random() < 0.5 ? 1 : 0));
    const png = encodeMask(pixels, width, height);
    const decoded = decode(png);
    expect(decoded).toMatchObject({width, height, bits: 1, color: 0});
    expect(decoded.pixels).toEqual([...pixels]);
    expect(pictureSize(png)).toEqual({width, height});
  }
});

test('a mask of 2048² is made quickly', () => {
  const edits: Edit[] = Array.from({length: 20}, (_, i) => ({
    kind: 'stroke', tool: 'brush', size: 120,
    points: Array.from({length: 200}, (_point, k) => (k % 2 === 0 ? 100 + k * 9 : 100 + i * 90 + 40 * Math.sin(k))),
  }));
  const pixels = rasterise(edits, 2048, 2048);
  encodeMask(pixels, 2048, 2048);
  const startedAt = performance.now();
  encodeMask(pixels, 2048, 2048);
  // The promise is 150 ms on a device; this runs beside other tests, so it only catches mistakes.
  expect(performance.now() - startedAt).toBeLessThan(1500);
});

test('the size of a JPEG is found behind its other parts', () => {
  const jpeg = Uint8Array.of(
    0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc4, 0, 3, 9, 0xff, 0xc0, 0, 11, 8, 1, 2, 3, 4, 1, 0, 0, 0, 0, 0,
  );
  expect(pictureSize(jpeg)).toEqual({width: 0x304, height: 0x102});
  expect(pictureSize(Uint8Array.of(1, 2, 3))).toBeNull();
});

test('a drawing fits a smaller copy of its picture, and no picture of another shape', () => {
  const drawing = draw(draw(nothingDrawn, {kind: 'stroke', tool: 'brush', size: 40, points: [100, 50, 300, 50]}), {kind: 'invert'});
  const small = fitted(drawing, {width: 400, height: 200}, {width: 200, height: 100});
  expect(small?.edits).toEqual([{kind: 'stroke', tool: 'brush', size: 20, points: [50, 25, 150, 25]}, {kind: 'invert'}]);
  // Rounding to a model's steps changes the shape a little.
  expect(fitted(drawing, {width: 1537, height: 1025}, {width: 1024, height: 680})).not.toBeNull();
  expect(fitted(drawing, {width: 400, height: 200}, {width: 200, height: 200})).toBeNull();
});
