/**
 * What was drawn, in the picture's own pixels: the screen shows it scaled, the mask is made from it.
 */
export type Edit =
  | {kind: 'stroke'; tool: 'brush' | 'eraser'; size: number; points: number[]}
  | {kind: 'invert'}
  | {kind: 'clear'};

/** Everything drawn and everything taken back. Values, never changed in place. */
export type Drawing = {edits: readonly Edit[]; undone: readonly Edit[]};

export type Size = {width: number; height: number};

export const nothingDrawn: Drawing = {edits: [], undone: []};

export function draw(drawing: Drawing, edit: Edit): Drawing {
  return {edits: [...drawing.edits, edit], undone: []};
}

export function undo(drawing: Drawing): Drawing {
  const last = drawing.edits.at(-1);
  return last === undefined
    ? drawing
    : {edits: drawing.edits.slice(0, -1), undone: [...drawing.undone, last]};
}

export function redo(drawing: Drawing): Drawing {
  const next = drawing.undone.at(-1);
  return next === undefined
    ? drawing
    : {edits: [...drawing.edits, next], undone: drawing.undone.slice(0, -1)};
}

/**
 * The same drawing over another size of the same picture: models give back smaller ones than they were given. Null when
 * the shapes differ too much for that.
 */
export function fitted(drawing: Drawing, from: Size, to: Size): Drawing | null {
  const [across, down] = [to.width / from.width, to.height / from.height];
  if (Math.abs(across / down - 1) > 0.02) return null;
  if (across === 1 && down === 1) return drawing;
  const fit = (edit: Edit): Edit =>
    edit.kind === 'stroke' ? {...edit, size: edit.size * across, points: edit.points.map((value, i) => value * (i % 2 === 0 ? across : down))} : edit;
  return {edits: drawing.edits.map(fit), undone: drawing.undone.map(fit)};
}

/** What still matters: everything after the last clear. */
export function visible(edits: readonly Edit[]): readonly Edit[] {
  return edits.slice(edits.findLastIndex((edit) => edit.kind === 'clear') + 1);
}

/** The mask: one byte per pixel, 1 where the picture is to be painted anew. */
export function rasterise(edits: readonly Edit[], width: number, height: number): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (const edit of visible(edits)) {
    if (edit.kind === 'invert') {
      for (let i = 0; i < mask.length; i++) mask[i]! ^= 1;
    } else if (edit.kind === 'stroke') {
      const value = edit.tool === 'brush' ? 1 : 0;
      const radius = edit.size / 2;
      const p = edit.points;
      if (p.length === 2) capsule(mask, width, height, p[0]!, p[1]!, p[0]!, p[1]!, radius, value);
      for (let i = 0; i + 3 < p.length; i += 2) {
        capsule(mask, width, height, p[i]!, p[i + 1]!, p[i + 2]!, p[i + 3]!, radius, value);
      }
    }
  }
  return mask;
}

/**
 * Fills the pixels whose centre is within `radius` of a segment. That shape is convex, so each
 * row of it is one run: the union of the runs of its two ends and of the band between them.
 */
function capsule(
  mask: Uint8Array, width: number, height: number,
  ax: number, ay: number, bx: number, by: number, radius: number, value: number,
): void {
  const dx = bx - ax;
  const dy = by - ay;
  const length = Math.hypot(dx, dy);
  const top = Math.max(0, Math.ceil(Math.min(ay, by) - radius - 0.5));
  const bottom = Math.min(height - 1, Math.floor(Math.max(ay, by) + radius - 0.5));
  for (let row = top; row <= bottom; row++) {
    const y = row + 0.5;
    let low = Infinity;
    let high = -Infinity;
    const include = (a: number, b: number) => {
      if (a > b) return;
      low = Math.min(low, a);
      high = Math.max(high, b);
    };
    for (const [cx, cy] of [[ax, ay], [bx, by]] as const) {
      const half = radius * radius - (y - cy) * (y - cy);
      if (half >= 0) include(cx - Math.sqrt(half), cx + Math.sqrt(half));
    }
    if (length > 0) {
      // Along the segment between its ends, and across it no farther than the radius.
      const along = interval(dx, (y - ay) * dy, 0, length * length);
      const across = interval(dy, -(y - ay) * dx, -radius * length, radius * length);
      include(ax + Math.max(along[0], across[0]), ax + Math.min(along[1], across[1]));
    }
    const from = Math.max(0, Math.ceil(low - 0.5));
    const to = Math.min(width - 1, Math.floor(high - 0.5));
    if (from <= to) mask.fill(value, row * width + from, row * width + to + 1);
  }
}

/** Where `low <= factor * x + offset <= high`. */
function interval(factor: number, offset: number, low: number, high: number): [number, number] {
  if (factor === 0) return offset >= low && offset <= high ? [-Infinity, Infinity] : [Infinity, -Infinity];
  const a = (low - offset) / factor;
  const b = (high - offset) / factor;
  return a < b ? [a, b] : [b, a];
}

/** How much of the picture is painted, 0 to 1. */
export function coverage(mask: Uint8Array): number {
  let painted = 0;
  for (const pixel of mask) painted += pixel;
  return mask.length === 0 ? 0 : painted / mask.length;
}

/** Leaves out points nearer than half a pixel: fingers deliver many. */
export function extend(points: readonly number[], x: number, y: number): readonly number[] | null {
  const n = points.length;
  if (n >= 2 && Math.hypot(x - points[n - 2]!, y - points[n - 1]!) < 0.5) return null;
  return [...points, x, y];
}
