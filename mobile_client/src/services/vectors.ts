export type Vector = readonly number[];

/** Cosine similarity, -1 to 1; 0 when either is all zeros. */
export function similarity(a: Vector, b: Vector): number {
  if (a.length !== b.length) throw new RangeError('vectors of different models cannot be compared');
  let dot = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return aa === 0 || bb === 0 ? 0 : Math.max(-1, Math.min(1, dot / Math.sqrt(aa * bb)));
}

export function similarityMatrix(vectors: readonly Vector[]): number[][] {
  return vectors.map((a) => vectors.map((b) => similarity(a, b)));
}

/** The others, nearest first. */
export function neighbours(vectors: readonly Vector[], of: number): {index: number; similarity: number}[] {
  return vectors
    .map((vector, index) => ({index, similarity: similarity(vectors[of]!, vector)}))
    .filter(({index}) => index !== of)
    .sort((a, b) => b.similarity - a.similarity || a.index - b.index);
}

/**
 * The two directions in which the vectors differ most, as points within -1..1.
 * Works on the small matrix of inner products, so its cost depends on how many texts there are,
 * not on how long the vectors are.
 */
export function pca(vectors: readonly Vector[]): {x: number; y: number}[] {
  const n = vectors.length;
  if (n === 0) return [];
  const dimension = vectors[0]!.length;
  const mean = new Float64Array(dimension);
  for (const vector of vectors) for (let i = 0; i < dimension; i++) mean[i]! += vector[i]! / n;
  const centred = vectors.map((vector) => Float64Array.from(vector, (x, i) => x - mean[i]!));
  const gram = centred.map((a) =>
    centred.map((b) => {
      let sum = 0;
      for (let i = 0; i < dimension; i++) sum += a[i]! * b[i]!;
      return sum;
    }),
  );
  const {values, columns} = eigen(gram);
  const order = values.map((_, i) => i).sort((a, b) => values[b]! - values[a]!);
  const axis = (k: number) => {
    const at = order[k];
    if (at === undefined || values[at]! <= 1e-12) return new Array<number>(n).fill(0);
    const scale = Math.sqrt(values[at]!);
    const line = columns.map((row) => row[at]! * scale);
    // The sign of an axis means nothing; fixed, so that the map does not flip when a text is added.
    const largest = line.reduce((m, x) => (Math.abs(x) > Math.abs(m) ? x : m), 0);
    return largest < 0 ? line.map((x) => -x) : line;
  };
  const xs = axis(0);
  const ys = axis(1);
  const reach = Math.max(...xs.map(Math.abs), ...ys.map(Math.abs)) || 1;
  return xs.map((x, i) => ({x: x / reach, y: ys[i]! / reach}));
}

/** Eigenvalues and eigenvectors (in columns) of a symmetric matrix, by Jacobi's rotations. */
export function eigen(matrix: readonly (readonly number[])[]): {values: number[]; columns: number[][]} {
  const n = matrix.length;
  const a = matrix.map((row) => [...row]);
  const v: number[][] = a.map((_, i) => a.map((_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) off += a[i]![j]! ** 2;
    if (off < 1e-22) break;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const apq = a[p]![q]!;
        if (Math.abs(apq) < 1e-300) continue;
        const theta = (a[q]![q]! - a[p]![p]!) / (2 * apq);
        const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const kp = a[k]![p]!;
          const kq = a[k]![q]!;
          a[k]![p] = c * kp - s * kq;
          a[k]![q] = s * kp + c * kq;
        }
        for (let k = 0; k < n; k++) {
          const pk = a[p]![k]!;
          const qk = a[q]![k]!;
          a[p]![k] = c * pk - s * qk;
          a[q]![k] = s * pk + c * qk;
        }
        for (let k = 0; k < n; k++) {
          const kp = v[k]![p]!;
          const kq = v[k]![q]!;
          v[k]![p] = c * kp - s * kq;
          v[k]![q] = s * kp + c * kq;
        }
      }
    }
  }
  return {values: a.map((row, i) => row[i]!), columns: v};
}

/**
 * A vector made on the device from the letters alone, for searching while no server is there:
 * it finds words and their relatives in spelling, not in meaning.
 */
export function spellingVector(text: string, dimension = 256): number[] {
  const vector = new Array<number>(dimension).fill(0);
  for (const word of text.split(/[^\p{L}\p{N}]+/u)) {
    if (word === '') continue;
    const padded = ` ${word} `;
    for (let i = 0; i + 3 <= padded.length; i++) {
      let hash = 2166136261;
      for (let k = i; k < i + 3; k++) hash = Math.imul(hash ^ padded.charCodeAt(k), 16777619);
      vector[(hash >>> 0) % dimension]! += 1;
    }
  }
  return vector;
}
