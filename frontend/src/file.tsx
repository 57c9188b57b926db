// The page of an exported file: everything it asks is answered within it.

import { mount } from "./app";
import { Refused, unpack, type Answer, type Backend, type Early, type Tensor } from "./backend";
import { unescaped } from "./blocks";
import { centroidDirection } from "./centroids";
import { normals, rate } from "./lessons";
import { linear, spherical } from "./space";
import { grams, spectrum } from "./spectrum";
import "./style.css";

/** The text of a data block, which is then let go. */
function taken(id: string): string {
  const block = document.getElementById(id);
  if (!block) throw new Refused(0, "This file is not whole: its end is missing.");
  block.remove();
  return block.textContent!;
}

async function inflated(id: string): Promise<ArrayBuffer> {
  const stream = new Blob([unescaped(taken(id)) as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Bytes at even places and those at odd ones, put together again. */
function joined(planes: Uint8Array): Uint8Array {
  const half = Math.ceil(planes.length / 2), out = new Uint8Array(planes.length);
  for (let i = 0; i < half; i++) out[2 * i] = planes[i];
  for (let i = half; i < planes.length; i++) out[2 * (i - half) + 1] = planes[i];
  return out;
}

/** Two shades of 16 in each byte, as 0 to 255. */
function shades(halves: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 * halves.length);
  for (let i = 0; i < halves.length; i++) (out[2 * i] = (halves[i] >> 4) * 17), (out[2 * i + 1] = (halves[i] & 15) * 17);
  return out;
}

const STEP = 0.01; // of the code, in differences; as zatlas.latent.local
const CHUNK = 96; // decodings in one message, so that what the pointer asks for does not wait
const DRAWS = 16; // of the code, for the distortion of an image
const SCORED = 128; // codes at a time
const AT_ONCE = new Set(["about", "codes", "describe"]); // what is answered before the model is there

type Feeds = Record<string, { values: Float32Array; shape: number[] }>;

class FileBackend implements Backend {
  about = "this file";
  coarse = true;
  whole = true;
  ready: Promise<unknown>;
  early?: Early;
  private worker!: Worker;
  private waiting = new Map<number, [(o: any) => void, (e: Error) => void]>();
  private count = 0;
  private facts: any;
  private arrays: Record<string, Tensor>;
  private model: Promise<void>; // is there to be asked
  private decoder!: Promise<unknown>; // has started

  /** Reads what the map needs at once; the rest of the file is behind this script, and read once the map is drawn. */
  constructor() {
    const { facts, arrays } = unpack(unescaped(taken("first")).buffer as ArrayBuffer);
    this.facts = facts;
    this.arrays = arrays;
    if (facts.lattice) this.early = { ...facts.lattice, images: shades(arrays.lattice.data as Uint8Array) };
    const drawn = new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const read = new Promise((done) => document.addEventListener("DOMContentLoaded", done));
    this.model = Promise.all([drawn.then(() => this.start()), read]).then(() => this.load());
    this.ready = this.model.then(() => this.decoder);
    this.ready.catch(() => {}); // whoever asks the model is told
  }

  private async start(): Promise<void> {
    this.worker = new Worker(URL.createObjectURL(new Blob([await inflated("worker")], { type: "text/javascript" })));
    this.worker.onmessage = ({ data }) => {
      const [done, failed] = this.waiting.get(data.id)!;
      this.waiting.delete(data.id);
      data.error ? failed(new Refused(0, `The model in this file cannot be run here (${data.error}).`)) : done(data.outputs);
    };
    this.worker.onerror = () => {
      for (const [, failed] of this.waiting.values()) failed(new Refused(0, "This browser does not let the page run the model in it."));
    };
  }

  private send(message: object, hand: Transferable[] = []): Promise<any> {
    const id = this.count++;
    return new Promise((done, failed) => {
      this.waiting.set(id, [done, failed]);
      this.worker.postMessage({ id, ...message }, hand);
    });
  }

  private async run(graph: string, feeds: Feeds): Promise<Record<string, { data: Float32Array }>> {
    await this.model;
    return this.send({ graph, feeds });
  }

  /** The worker unpacks and compiles WebAssembly while this thread unpacks the model. */
  private async load(): Promise<void> {
    this.send({ wasm: taken("wasm") }).catch(() => {});
    Object.assign(this.arrays, unpack(await inflated("rest")).arrays);
    const graphs: Record<string, Uint8Array> = {};
    for (const name of ["decoder", "encoder", "score", "density"]) if (this.arrays[name]) graphs[name] = joined(this.arrays[name].data as Uint8Array);
    this.decoder = this.send({ graphs });
    this.decoder.catch(() => {});
  }

  async runs() {
    return [{ id: "a", name: this.facts.about.name }];
  }

  async ask(_: string, question: string, values: any = {}): Promise<Answer> {
    if (!AT_ONCE.has(question)) await this.model;
    const found = await this.answers[question]?.(values);
    if (!found) throw new Refused(400, this.facts.about.can[question] ?? "A file cannot answer that: zatlas explore can.");
    return { facts: {}, arrays: {}, ...found } as Answer;
  }

  private get dim(): number { return this.facts.about.latent_dim; }
  private get size(): number { return this.facts.about.shape.reduce((a: number, b: number) => a * b, 1); }

  private labels(n: number, labels?: number[]): Feeds {
    const { about } = this.facts;
    if (!about.conditional) return {};
    const Y = about.labels.names.length, y = new Float32Array(n * Y);
    if (about.labels.kind === "class") for (let i = 0; i < n; i++) y[i * Y + (labels?.[labels.length > 1 ? i : 0] ?? 0)] = 1;
    return { y: { values: y, shape: [n, Y] } };
  }

  private async decode(z: ArrayLike<number>[], labels?: number[]): Promise<Float32Array> {
    return (await this.run("decoder", { z: this.codes(z), ...this.labels(z.length, labels) })).image.data;
  }

  private codes(z: ArrayLike<number>[]): { values: Float32Array; shape: number[] } {
    const values = new Float32Array(z.length * this.dim);
    z.forEach((code, i) => values.set(code, i * this.dim));
    return { values, shape: [z.length, this.dim] };
  }

  /** What an image between black (0) and white (1) is in the units of the data. */
  private image(values: number[]): Float32Array {
    const [low, high] = this.facts.about.range;
    return Float32Array.from(values, (v) => low + v * (high - low));
  }

  /** -log p(x|z) of an image under codes, in nats. */
  private async distortion(x: Float32Array, z: ArrayLike<number>[], labels?: number[]): Promise<Float32Array> {
    const out = new Float32Array(z.length);
    for (let from = 0; from < z.length; from += SCORED) {
      const some = z.slice(from, from + SCORED), n = some.length, shape = [n, ...this.facts.about.shape], repeated = new Float32Array(n * x.length);
      for (let i = 0; i < n; i++) repeated.set(x, i * x.length);
      const image = await this.decode(some, labels);
      out.set((await this.run("score", { image: { values: image, shape }, x: { values: repeated, shape } })).nats.data, from);
    }
    return out;
  }

  /** Eigenvalues and directions of J J^T at codes, from central differences. */
  private async spectra(z: number[][], labels?: number[]) {
    const { dim, size } = this, each = Math.max(1, Math.floor(CHUNK / (2 * dim))), out = [];
    for (let from = 0; from < z.length; from += each) {
      const some = z.slice(from, from + each), moved: Float64Array[] = [], of: number[] = [];
      some.forEach((code, i) => {
        for (const sign of [1, -1]) for (let d = 0; d < dim; d++) {
          const one = Float64Array.from(code);
          one[d] += sign * STEP;
          moved.push(one);
          of.push(labels?.[labels.length > 1 ? from + i : 0] ?? 0);
        }
      });
      out.push(...grams(await this.decode(moved, of), some.length, dim, size, STEP).map((gram) => spectrum(gram, dim)));
    }
    return out;
  }

  private async bound(x: Float32Array, mean: Float32Array, std: Float32Array, labels?: number[]): Promise<object> {
    const { about, closed_rate } = this.facts;
    if (!about.standard_prior || !closed_rate) return {};
    const nats = rate(mean, std);
    if (about.can.distortion || !this.arrays.score) return { rate: nats };
    const z = Array.from({ length: DRAWS }, () => normals(this.dim).map((e, d) => mean[d] + std[d] * e));
    const distortion = (await this.distortion(x, z, labels)).reduce((a, b) => a + b, 0) / DRAWS;
    return { distortion, rate: nats, loss: distortion + nats };
  }

  private answers: Record<string, (values: any) => Promise<{ facts?: any; arrays?: Record<string, any> } | undefined>> = {
    about: async () => ({ facts: this.facts.about }),
    codes: async () => {
      const { quantised, low, step, ...rest } = this.arrays, D = this.dim, mean = new Float32Array(quantised.data.length);
      for (let i = 0; i < mean.length; i++) mean[i] = low.data[i % D] + (quantised.data[i] + 32768) * step.data[i % D];
      const kept = Object.fromEntries(Object.entries(rest).filter(([name]) => name === "labels" || name === "rows" || name.startsWith("factor")));
      return { facts: this.facts.codes, arrays: { mean: { shape: quantised.shape, data: mean }, ...kept } };
    },
    decode: async ({ z, labels }) => ({ arrays: { mean: { shape: [z.length, ...this.facts.about.shape], data: await this.decode(z, labels) } } }),
    examples: async ({ rows }) => {
      if (!this.arrays.examples) return undefined;
      const at = (this.arrays.example_of.data as Int32Array).indexOf(rows[0]), { size } = this, [low, high] = this.facts.about.range;
      if (at < 0) return {};
      return { arrays: { x: { shape: [1, ...this.facts.about.shape], data: Float32Array.from(this.arrays.examples.data.subarray(at * size, (at + 1) * size), (v) => low + (v / 255) * (high - low)) } } };
    },
    describe: async () => this.facts.units && { facts: { units: this.facts.units } },
    encode: async ({ image, label }) => {
      if (!this.arrays.encoder) return undefined;
      const { about } = this.facts, D = this.dim, [low, high] = about.range, x = this.image(image), labels = label == null ? undefined : [label];
      const outputs = await this.run("encoder", { x: { values: x, shape: [1, ...about.shape] }, ...this.labels(1, labels) });
      const mean = outputs.mean.data, shown = await this.decode([mean], labels);
      let error = 0;
      for (let i = 0; i < x.length; i++) error += Math.abs(x[i] - shown[i]) / (high - low) / x.length;
      const std = outputs.log_variance ? Float32Array.from(outputs.log_variance.data, (v) => Math.exp(v / 2)) : null;
      return {
        facts: { pixel_error: error, ...(std ? await this.bound(x, mean, std, labels) : {}) },
        arrays: { mean: { shape: [1, D], data: mean }, reconstruction: { shape: about.shape, data: shown }, ...(std ? { std: { shape: [1, D], data: std } } : {}) },
      };
    },
    distortion: async ({ image, z, label }) => {
      if (!this.arrays.score) return undefined;
      return { arrays: { nats: { shape: [z.length], data: await this.distortion(this.image(image), z, label == null ? undefined : [label]) } } };
    },
    density: async ({ z }) => {
      if (!this.arrays.density) return undefined;
      return { facts: { typical: this.facts.typical }, arrays: { log_density: { shape: [z.length], data: (await this.run("density", { z: this.codes(z) })).log_density.data } } };
    },
    reencode: async ({ z, labels }) => {
      if (!this.arrays.encoder) return undefined;
      const x = await this.decode(z, labels), n = z.length, D = this.dim;
      const outputs = await this.run("encoder", { x: { values: x, shape: [n, ...this.facts.about.shape] }, ...this.labels(n, labels) });
      return { arrays: { error: { shape: [n], data: Float32Array.from(z, (code: number[], i) => Math.hypot(...code.map((v, d) => outputs.mean.data[i * D + d] - v))) } } };
    },
    magnification: async ({ z, labels }) => {
      if (this.facts.about.can.magnification) return undefined;
      return { arrays: { magnification: { shape: [z.length], data: Float32Array.from(await this.spectra(z, labels), ({ values }) => Math.sqrt(Math.max(0, values[0]))) } } };
    },
    jacobian: async ({ z, label }) => {
      const [{ values, vectors }] = await this.spectra([z], label == null ? undefined : [label]), n = Math.min(this.dim, this.size);
      const turned = vectors.slice(0, n).map((v) => (v.reduce((far, x) => (Math.abs(x) > Math.abs(far) ? x : far), 0) < 0 ? v.map((x) => -x) : v));
      return { arrays: { values: { shape: [n], data: Float32Array.from(values.subarray(0, n), (v) => Math.sqrt(Math.max(0, v))) }, directions: { shape: [n, this.dim], data: Float32Array.from(turned.flatMap((v) => [...v])) } } };
    },
    directions: async () => this.facts.directions && { facts: { directions: this.facts.directions }, arrays: { vectors: this.arrays.vectors } },
    direction: async ({ with: to, without: from, method, name }) => {
      if (method !== "centroid") throw new Refused(400, this.facts.about.can[method]);
      const D = this.dim, mean = (await this.answers.codes({}))!.arrays!.mean.data as Float32Array;
      const picked = (rows: number[]) => { const out = new Float32Array(rows.length * D); rows.forEach((row, i) => out.set(mean.subarray(row * D, (row + 1) * D), i * D)); return out; };
      const { vector, ...found } = centroidDirection(picked(from), picked(to), D);
      return { facts: { name, method, sentence: "", ...found }, arrays: { vector: { shape: [D], data: Float32Array.from(vector) } } };
    },
    snapshots: async ({ since = -1 }) => {
      const { film } = this.facts, images = this.arrays.film;
      if (!film) return undefined;
      return { facts: film, arrays: film.steps.at(-1) > since ? { images } : {} };
    },
    interpolate: async ({ codes, path, n, labels }) => {
      if (path === "density") throw new Refused(400, this.facts.about.can.densest);
      const z = (path === "linear" ? linear : spherical)(codes, n);
      return { arrays: { z: { shape: [z.length, this.dim], data: Float32Array.from(z.flatMap((v) => [...v])) }, mean: { shape: [], data: await this.decode(z, labels) } } };
    },
    sample: async ({ n }) => this.facts.about.standard_prior && { arrays: { z: { shape: [n, this.dim], data: Float32Array.from(normals(this.dim * n)) } } },
  };
}

mount(document.getElementById("zatlas")!, new FileBackend());
