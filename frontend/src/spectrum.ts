// Symmetric matrices: what a decoder's Jacobian does is read from its Gram matrix.

/** Eigenvalues of a symmetric matrix [n, n], the largest first, and their unit vectors, by Jacobi rotations. */
export function spectrum(matrix: Float64Array, n: number): { values: Float64Array; vectors: Float64Array[] } {
  const a = Float64Array.from(matrix), v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  const rotate = (m: Float64Array, i: number, j: number, c: number, s: number) => {
    const [p, q] = [m[i], m[j]];
    m[i] = c * p - s * q;
    m[j] = s * p + c * q;
  };
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0, all = 0;
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) (all += a[i * n + j] ** 2), i !== j && (off += a[i * n + j] ** 2);
    if (!(off > 1e-24 * all)) break;
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        if (a[p * n + q] === 0) continue;
        const turn = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
        const t = (turn >= 0 ? 1 : -1) / (Math.abs(turn) + Math.hypot(1, turn)), c = 1 / Math.hypot(1, t), s = t * c;
        for (let k = 0; k < n; k++) rotate(a, k * n + p, k * n + q, c, s);
        for (let k = 0; k < n; k++) rotate(a, p * n + k, q * n + k, c, s);
        for (let k = 0; k < n; k++) rotate(v, k * n + p, k * n + q, c, s);
      }
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * n + j] - a[i * n + i]);
  return { values: Float64Array.from(order, (i) => a[i * n + i]), vectors: order.map((i) => Float64Array.from({ length: n }, (_, k) => v[k * n + i])) };
}

/** The Gram matrices J J^T of Jacobians from images [N, 2, D, size] ahead and behind by a step: [N] of [D, D]. */
export function grams(images: Float32Array, n: number, dim: number, size: number, step: number): Float64Array[] {
  return Array.from({ length: n }, (_, i) => {
    const from = i * 2 * dim * size, tangents = new Float64Array(dim * size), out = new Float64Array(dim * dim);
    for (let k = 0; k < dim * size; k++) tangents[k] = (images[from + k] - images[from + dim * size + k]) / (2 * step);
    for (let a = 0; a < dim; a++)
      for (let b = a; b < dim; b++) {
        let sum = 0;
        for (let k = 0; k < size; k++) sum += tangents[a * size + k] * tangents[b * size + k];
        out[a * dim + b] = out[b * dim + a] = sum;
      }
    return out;
  });
}
