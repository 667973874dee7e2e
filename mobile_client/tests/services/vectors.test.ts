import {eigen, neighbours, pca, similarity, similarityMatrix, spellingVector} from '../../src/services/vectors';

test('similarity is the cosine', () => {
  expect(similarity([1, 0], [0, 5])).toBe(0);
  expect(similarity([1, 2, 3], [2, 4, 6])).toBeCloseTo(1, 12);
  expect(similarity([1, 0], [-3, 0])).toBe(-1);
  expect(similarity([0, 0], [1, 1])).toBe(0);
  expect(() => similarity([1], [1, 2])).toThrow(RangeError);
});

test('the matrix is symmetric with ones on its diagonal', () => {
  const matrix = similarityMatrix([[1, 2], [3, -1], [0.5, 0.5]]);
  matrix.forEach((row, y) => row.forEach((value, x) => expect(value).toBeCloseTo(matrix[x]![y]!, 12)));
  matrix.forEach((row, i) => expect(row[i]).toBeCloseTo(1, 12));
});

test('neighbours are the others, nearest first', () => {
  expect(neighbours([[1, 0], [0, 1], [1, 0.2]], 0).map((one) => one.index)).toEqual([2, 1]);
});

test('eigenvectors turn and keep the matrix', () => {
  const matrix = [[4, 1, -2], [1, 2, 0], [-2, 0, 3]];
  const {values, columns} = eigen(matrix);
  for (let k = 0; k < 3; k++) {
    for (let i = 0; i < 3; i++) {
      const turned = matrix[i]!.reduce((sum, x, j) => sum + x * columns[j]![k]!, 0);
      expect(turned).toBeCloseTo(values[k]! * columns[i]![k]!, 9);
    }
  }
});

test('PCA finds the direction in which points differ, and keeps their distances in a plane', () => {
  // Points of a plane, put into five dimensions.
  const plane: [number, number][] = [[3, 0.1], [-3, 0.2], [1, 0.9], [-1, -1.1], [0, 0]];
  const u = [0.5, 0.5, 0.5, 0.5, 0];
  const v = [0.5, -0.5, 0.5, -0.5, 0];
  const points = pca(plane.map(([a, b]) => u.map((x, i) => 7 + a * x + b * v[i]!)));
  const distance = (p: {x: number; y: number}, q: {x: number; y: number}) => Math.hypot(p.x - q.x, p.y - q.y);
  const ratios: number[] = [];
  for (let i = 0; i < 5; i++) {
    for (let j = 0; j < i; j++) {
      ratios.push(distance(points[i]!, points[j]!) / Math.hypot(plane[i]![0] - plane[j]![0], plane[i]![1] - plane[j]![1]));
    }
  }
  for (const ratio of ratios) expect(ratio).toBeCloseTo(ratios[0]!, 9);
  const spread = (axis: 'x' | 'y') => points.reduce((sum, point) => sum + point[axis] ** 2, 0);
  expect(spread('x')).toBeGreaterThan(spread('y'));
});

test('PCA of one text, of equal texts and of none is no accident', () => {
  expect(pca([])).toEqual([]);
  expect(pca([[1, 2]])).toEqual([{x: 0, y: 0}]);
  expect(pca([[1, 2], [1, 2]])).toEqual([{x: 0, y: 0}, {x: 0, y: 0}]);
});

test('by spelling, relatives are nearer than strangers', () => {
  const near = similarity(spellingVector('painting a lighthouse'), spellingVector('lighthouses painted'));
  expect(near).toBeGreaterThan(similarity(spellingVector('painting a lighthouse'), spellingVector('bread with butter')));
});
