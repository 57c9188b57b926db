// The direction from one group of codes to another as the difference of their means; as zatlas.latent.separating has it.

const FOLDS = 5, BOOTSTRAPS = 50;

export interface Found { vector: Float64Array; scale: number; threshold: number; accuracy: { value: number; standard_error: number }; angle_degrees: number; angle_degrees_95: number }

/** From codes `without` to codes `with_`, row by row [n, dim]. */
export function centroidDirection(without: Float32Array, with_: Float32Array, dim: number): Found {
  const groups = [without, with_].map((codes) => mixed(codes, dim));
  const whole = groups.map((codes) => mean(codes, dim, () => 1));
  const found = between(whole[0], whole[1]);
  if (!(found.scale > 0)) throw new Error("Nothing tells the groups apart: their means are the same.");
  const right = [0, 0], counts = groups.map((codes) => codes.length / dim);
  const folds = Math.min(FOLDS, ...counts);
  for (let fold = 0; fold < folds; fold++) {
    const part = between(...(groups.map((codes) => mean(codes, dim, (i) => +(i % folds !== fold))) as [Float64Array, Float64Array]));
    groups.forEach((codes, g) => {
      for (let i = fold; i < counts[g]; i += folds) {
        let at = -part.threshold;
        for (let d = 0; d < dim; d++) at += codes[i * dim + d] * part.vector[d];
        right[g] += +(at > 0 === (g === 1));
      }
    });
  }
  const shares = right.map((r, g) => r / counts[g]);
  const angles: number[] = [], random = chance(1);
  for (let b = 0; b < BOOTSTRAPS; b++) {
    const again = between(...(groups.map((codes, g) => {
      const times = new Uint16Array(counts[g]);
      for (let i = 0; i < counts[g]; i++) times[Math.floor(random() * counts[g])]++;
      return mean(codes, dim, (i) => times[i]);
    }) as [Float64Array, Float64Array]));
    const cosine = again.vector.reduce((sum, v, d) => sum + v * found.vector[d], 0);
    angles.push((Math.acos(Math.max(-1, Math.min(1, cosine))) * 180) / Math.PI);
  }
  angles.sort((a, b) => a - b);
  return {
    ...found,
    accuracy: { value: (shares[0] + shares[1]) / 2, standard_error: 0.5 * Math.sqrt(shares.reduce((sum, p, g) => sum + (p * (1 - p)) / counts[g], 0)) },
    angle_degrees: angles.reduce((a, b) => a + b, 0) / BOOTSTRAPS, angle_degrees_95: angles[Math.ceil(0.95 * BOOTSTRAPS) - 1],
  };
}

function between(a: Float64Array, b: Float64Array): { vector: Float64Array; scale: number; threshold: number } {
  const way = a.map((v, d) => b[d] - v), scale = Math.hypot(...way), vector = way.map((v) => v / (scale || 1));
  return { vector, scale, threshold: vector.reduce((sum, v, d) => sum + (v * (a[d] + b[d])) / 2, 0) };
}

function mean(codes: Float32Array, dim: number, weight: (i: number) => number): Float64Array {
  const out = new Float64Array(dim);
  let all = 0;
  for (let i = 0; i < codes.length / dim; i++) {
    const w = weight(i);
    all += w;
    if (w) for (let d = 0; d < dim; d++) out[d] += w * codes[i * dim + d];
  }
  return out.map((v) => v / (all || 1));
}

/** Rows in an order of their own, so that folds depend on no order that they came in. */
function mixed(codes: Float32Array, dim: number): Float32Array {
  const n = codes.length / dim, order = Int32Array.from({ length: n }, (_, i) => i), random = chance(2);
  for (let i = n - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  const out = new Float32Array(codes.length);
  order.forEach((from, to) => out.set(codes.subarray(from * dim, (from + 1) * dim), to * dim));
  return out;
}

/** The same numbers from 0 to 1 for the same seed. */
function chance(seed: number): () => number {
  let s = seed * 2654435761;
  return () => ((s = (Math.imul(s, 1664525) + 1013904223) >>> 0) / 2 ** 32);
}
