// Planes of the latent space, points in them, and what lies under a polygon.

export type Vec = Float64Array | Float32Array | number[];

export const dot = (a: Vec, b: Vec): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
};
export const norm = (a: Vec): number => Math.sqrt(dot(a, a));
export const add = (a: Vec, b: Vec, t = 1): Float64Array => Float64Array.from(a, (v, i) => v + t * b[i]);
export const zeros = (n: number): Float64Array => new Float64Array(n);

/** z = origin + a e1 + b e2, with e1 and e2 orthonormal. */
export interface Plane {
  origin: Float64Array;
  e1: Float64Array;
  e2: Float64Array;
  names: [string, string];
}

export function unitPlane(dim: number, i: number, j: number, names: string[]): Plane {
  const e1 = zeros(dim), e2 = zeros(dim);
  e1[i] = 1;
  if (dim > 1) e2[j] = 1;
  return { origin: zeros(dim), e1, e2, names: [names[i], dim > 1 ? names[j] : ""] };
}

/** The plane through three codes, made orthonormal (Gram-Schmidt); null where they lie on a line. */
export function planeThrough(a: Vec, b: Vec, c: Vec): Plane | null {
  const across = add(b, a, -1), length = norm(across);
  if (!(length > 1e-9)) return null;
  const e1 = across.map((v) => v / length);
  const up = add(c, a, -1), rest = add(up, e1, -dot(up, e1)), height = norm(rest);
  if (!(height > 1e-6 * norm(up))) return null;
  return { origin: Float64Array.from(a), e1, e2: rest.map((v) => v / height), names: ["1 → 2", "towards 3"] };
}

/** The two directions in which codes [n, dim] vary most, about their mean; by power iteration on the covariance. */
export function principalPlane(codes: Vec, n: number, dim: number): Plane {
  const mean = zeros(dim);
  for (let i = 0; i < n; i++) for (let d = 0; d < dim; d++) mean[d] += codes[i * dim + d] / n;
  const stride = Math.max(1, Math.floor(n / 4000));
  const covariance = zeros(dim * dim);
  let count = 0;
  for (let i = 0; i < n; i += stride, count++)
    for (let a = 0; a < dim; a++) {
      const va = codes[i * dim + a] - mean[a];
      for (let b = a; b < dim; b++) covariance[a * dim + b] += va * (codes[i * dim + b] - mean[b]);
    }
  let trace = 0;
  for (let a = 0; a < dim; a++) {
    trace += covariance[a * dim + a];
    for (let b = 0; b < a; b++) covariance[a * dim + b] = covariance[b * dim + a];
  }
  const found: Float64Array[] = [], shares: number[] = [];
  for (let k = 0; k < 2; k++) {
    let v: Float64Array = Float64Array.from({ length: dim }, (_, d) => 1 + Math.sin(7 * d + 3 * k));
    let value = 0;
    for (let step = 0; step < 200; step++) {
      for (const u of found) v = add(v, u, -dot(v, u));
      const next = Float64Array.from({ length: dim }, (_, a) => dot(covariance.subarray(a * dim, a * dim + dim), v));
      for (const u of found) next.set(add(next, u, -dot(next, u)));
      value = norm(next);
      if (!(value > 0)) break;
      v = next.map((x) => x / value);
    }
    const length = norm(v) || 1;
    v = v.map((x) => x / length);
    const largest = v.reduce((best, x) => (Math.abs(x) > Math.abs(best) ? x : best), 0);
    found.push(largest < 0 ? v.map((x) => -x) : v);
    shares.push(trace > 0 ? value / trace : 0);
  }
  const names = shares.map((s, i) => `component ${i + 1} (${Math.round(100 * s)}%)`);
  return { origin: mean, e1: found[0], e2: found[1], names: [names[0], names[1]] };
}

/** Where codes [n, dim] lie in a plane, [n, 2]; codes of two units in their own plane are what they are. */
export function project(plane: Plane, codes: Vec, n: number): Float32Array {
  const dim = plane.origin.length;
  if (dim === 2 && codes instanceof Float32Array && !norm(plane.origin) && plane.e1[0] === 1 && plane.e2[1] === 1) return codes.subarray(0, 2 * n);
  const out = new Float32Array(2 * n);
  const o1 = dot(plane.origin, plane.e1), o2 = dot(plane.origin, plane.e2);
  for (let i = 0; i < n; i++) {
    let a = -o1, b = -o2;
    for (let d = 0, at = i * dim; d < dim; d++, at++) {
      a += codes[at] * plane.e1[d];
      b += codes[at] * plane.e2[d];
    }
    out[2 * i] = a;
    out[2 * i + 1] = b;
  }
  return out;
}

export const spot = (plane: Plane, z: Vec): [number, number] => {
  const p = project(plane, z, 1);
  return [p[0], p[1]];
};

/** The code at (a, b) of the plane moved to pass through base. */
export function codeAt(plane: Plane, base: Vec, a: number, b: number): Float64Array {
  const [ba, bb] = spot(plane, base);
  return Float64Array.from(base, (v, d) => v + (a - ba) * plane.e1[d] + (b - bb) * plane.e2[d]);
}

/** Which points [n, 2] lie in a polygon [m, 2]. */
export function inside(points: Float32Array, polygon: [number, number][]): number[] {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of polygon) {
    left = Math.min(left, x); right = Math.max(right, x);
    low = Math.min(low, y); high = Math.max(high, y);
  }
  // each edge in the rows that it crosses: a point then asks a few edges and not hundreds
  const rows = 256, per = (high - low) / rows || 1, edges: [number, number, number, number][][] = Array.from({ length: rows + 1 }, () => []);
  polygon.forEach(([xj, yj], j) => {
    const [xk, yk] = polygon[(j + polygon.length - 1) % polygon.length];
    const first = Math.floor((Math.min(yj, yk) - low) / per), last = Math.floor((Math.max(yj, yk) - low) / per);
    for (let row = first; row <= last; row++) edges[row].push([xj, yj, xk, yk]);
  });
  const found: number[] = [];
  for (let i = 0; i < points.length / 2; i++) {
    const x = points[2 * i], y = points[2 * i + 1];
    if (x < left || x > right || y < low || y > high) continue;
    let odd = false;
    for (const [xj, yj, xk, yk] of edges[Math.floor((y - low) / per)]) {
      if (yj > y !== yk > y && x < ((xk - xj) * (y - yj)) / (yk - yj) + xj) odd = !odd;
    }
    if (odd) found.push(i);
  }
  return found;
}

const CELLS = 256; // a side

/** Points [n, 2] in square cells, for the nearest one. */
export class Near {
  private size: number;
  private first = new Int32Array(CELLS * CELLS + 1); // of a cell, in those that lie in it
  private sorted: Int32Array;
  constructor(private points: Float32Array) {
    const n = points.length >> 1, of = new Int32Array(n), { first } = this;
    let far = 1e-9;
    for (let i = 0; i < 2 * n; i++) if (Math.abs(points[i]) > far) far = Math.abs(points[i]);
    this.size = (2.001 * far) / CELLS;
    for (let i = 0; i < n; i++) first[(of[i] = this.row(points[2 * i + 1]) * CELLS + this.row(points[2 * i])) + 1]++;
    for (let c = 0; c < CELLS * CELLS; c++) first[c + 1] += first[c];
    const at = first.slice();
    this.sorted = new Int32Array(n);
    for (let i = 0; i < n; i++) this.sorted[at[of[i]]++] = i;
  }
  private row(x: number): number {
    return Math.max(0, Math.min(CELLS - 1, Math.floor(x / this.size) + CELLS / 2)) | 0;
  }
  /** The point nearest to (x, y) within reach, or -1. */
  at(x: number, y: number, reach: number): number {
    const cells = Math.min(12, Math.ceil(reach / this.size)), i = this.row(x), j = this.row(y);
    let best = -1, least = reach * reach;
    for (let v = Math.max(0, j - cells); v <= Math.min(CELLS - 1, j + cells); v++)
      for (let u = Math.max(0, i - cells); u <= Math.min(CELLS - 1, i + cells); u++)
        for (let k = this.first[v * CELLS + u]; k < this.first[v * CELLS + u + 1]; k++) {
          const p = this.sorted[k], d = (this.points[2 * p] - x) ** 2 + (this.points[2 * p + 1] - y) ** 2;
          if (d < least) (least = d), (best = p);
        }
    return best;
  }
}

export function linear(anchors: Vec[], n: number): Float64Array[] {
  return legs(anchors, n, (a, b, t) => Float64Array.from(a, (v, i) => v + t * (b[i] - v)));
}

/** Equal angles about the origin, the norm changing evenly; as zatlas.latent.paths.spherical. */
export function spherical(anchors: Vec[], n: number): Float64Array[] {
  return legs(anchors, n, (a, b, t) => {
    const na = norm(a), nb = norm(b);
    const one = Float64Array.from(a, (v) => v / na), two = Float64Array.from(b, (v) => v / nb);
    const angle = 2 * Math.atan2(norm(add(one, two, -1)), norm(add(one, two)));
    if (!na || !nb || Math.sin(angle) < 1e-6) return Float64Array.from(a, (v, i) => v + t * (b[i] - v));
    const s = Math.sin((1 - t) * angle) / Math.sin(angle), u = Math.sin(t * angle) / Math.sin(angle);
    return one.map((v, i) => ((1 - t) * na + t * nb) * (s * v + u * two[i]));
  });
}

function legs(anchors: Vec[], n: number, at: (a: Vec, b: Vec, t: number) => Float64Array): Float64Array[] {
  const points: Float64Array[] = [Float64Array.from(anchors[0])];
  for (let leg = 1; leg < anchors.length; leg++)
    for (let i = 1; i < n; i++) points.push(at(anchors[leg - 1], anchors[leg], i / (n - 1)));
  return points;
}
