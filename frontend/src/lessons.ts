// What the lessons work out by themselves, as zatlas.explain does; a test compares them.

/** KL(N(mu, sigma^2) || N(0, 1)) in nats and what it adds up: half of trace + distance - 1 + log_determinants. */
export function gaussianKl(mu: number, sigma: number): { kl: number; reverse: number; trace: number; distance: number; log_determinants: number } {
  const trace = sigma * sigma, distance = mu * mu, log_determinants = -2 * Math.log(sigma);
  const reverse = 0.5 * ((1 + distance) / trace - 1 - log_determinants);
  return { kl: 0.5 * (trace + distance - 1 + log_determinants), reverse, trace, distance, log_determinants };
}

/** The rate of a diagonal Gaussian: the sum over its units, in nats. */
export const rate = (mean: ArrayLike<number>, std: ArrayLike<number>): number => {
  let sum = 0;
  for (let d = 0; d < mean.length; d++) sum += gaussianKl(mean[d], std[d]).kl;
  return sum;
};

export const TARGET = 2; // f(z) = (z - TARGET)^2, as in zatlas.explain.reparameterisation

/** The gradient of E f(z), z ~ N(mu, sigma^2), by each draw of noise: score function, with baseline, reparameterised; for mu. */
export function gradients(mu: number, sigma: number, noise: ArrayLike<number>): [Float64Array, Float64Array, Float64Array] {
  const n = noise.length, out: [Float64Array, Float64Array, Float64Array] = [new Float64Array(n), new Float64Array(n), new Float64Array(n)];
  const baseline = (mu - TARGET) ** 2 + sigma ** 2;
  for (let i = 0; i < n; i++) {
    const z = mu + sigma * noise[i], score = noise[i] / sigma, value = (z - TARGET) ** 2;
    out[0][i] = value * score;
    out[1][i] = (value - baseline) * score;
    out[2][i] = 2 * (z - TARGET);
  }
  return out;
}

/** A posterior on the way from the prior (t = 0) to the encoder's (t = 1) and beyond: mean t mu, deviation sigma^t. */
export function onTheWay(mean: ArrayLike<number>, std: ArrayLike<number>, t: number): { mean: Float64Array; std: Float64Array } {
  return { mean: Float64Array.from(mean as number[], (v) => t * v), std: Float64Array.from(std as number[], (v) => v ** t) };
}

export function normals(n: number): Float64Array {
  return Float64Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
}
