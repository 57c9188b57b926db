// The page of an exported file: everything it asks is answered within it.

import { mount } from "./app";
import { Refused, unpack, type Answer, type Backend, type Tensor } from "./backend";
import { linear, spherical } from "./space";
import "./style.css";

/** The bytes in a data block: those of windows-1252, four of them escaped as =x; see single_file.py. */
function bytes(id: string): Uint8Array {
  const text = document.getElementById(id)!.textContent!;
  const codes = new Uint8Array(0x2200 + 0x100);
  const decoded = new TextDecoder("windows-1252").decode(Uint8Array.from({ length: 256 }, (_, i) => i));
  for (let i = 0; i < 256; i++) codes[decoded.charCodeAt(i)] = i;
  const out = new Uint8Array(text.length);
  let at = 0;
  for (let i = 0; i < text.length; i++) {
    let c = codes[text.charCodeAt(i)];
    if (c === 0x3d) c = codes[text.charCodeAt(++i)] - 64;
    out[at++] = c;
  }
  document.getElementById(id)!.remove();
  return out.slice(0, at);
}

async function inflated(content: Uint8Array): Promise<ArrayBuffer> {
  const stream = new Blob([content as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/** Bytes at even places and those at odd ones, put together again. */
function joined(planes: Uint8Array): Uint8Array {
  const half = Math.ceil(planes.length / 2), out = new Uint8Array(planes.length);
  for (let i = 0; i < half; i++) out[2 * i] = planes[i];
  for (let i = half; i < planes.length; i++) out[2 * (i - half) + 1] = planes[i];
  return out;
}

class FileBackend implements Backend {
  about = "this file";
  private worker!: Worker;
  private waiting = new Map<number, [(o: any) => void, (e: Error) => void]>();
  private count = 0;
  private facts: any;
  private arrays!: Record<string, Tensor>;
  private opened: Promise<void>;

  constructor() {
    this.opened = this.open();
  }

  private start(source: Uint8Array): void {
    this.worker = new Worker(URL.createObjectURL(new Blob([source as BlobPart], { type: "text/javascript" })));
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

  private async open(): Promise<void> {
    const wasm = bytes("wasm"), content = bytes("data");
    const { facts, arrays } = unpack(await inflated(content));
    this.facts = facts;
    this.arrays = arrays;
    this.start(arrays.worker.data as Uint8Array);
    const graphs: Record<string, Uint8Array> = {};
    for (const name of ["decoder", "encoder"]) if (arrays[name]) graphs[name] = joined(arrays[name].data as Uint8Array);
    this.send({ open: { wasm, graphs } }, [wasm.buffer as ArrayBuffer]).catch(() => {});
  }

  async runs() {
    await this.opened;
    return [{ id: "a", name: this.facts.about.name }];
  }

  private labels(n: number, labels?: number[]): any {
    const { about } = this.facts;
    if (!about.conditional) return {};
    const Y = about.labels.names.length, y = new Float32Array(n * Y);
    if (about.labels.kind === "class") for (let i = 0; i < n; i++) y[i * Y + (labels?.[labels.length > 1 ? i : 0] ?? 0)] = 1;
    return { y: { values: y, shape: [n, Y] } };
  }

  private async decode(z: ArrayLike<number>[], labels?: number[]): Promise<Float32Array> {
    const n = z.length, D = this.facts.about.latent_dim, values = new Float32Array(n * D);
    z.forEach((code, i) => values.set(code, i * D));
    const outputs = await this.send({ graph: "decoder", feeds: { z: { values, shape: [n, D] }, ...this.labels(n, labels) } });
    return outputs.image.data;
  }

  async ask(_: string, question: string, values: any = {}): Promise<Answer> {
    await this.opened;
    const { about, codes, units } = this.facts, D = about.latent_dim, answer = (arrays: Record<string, any>, facts: any = {}): Answer => ({ facts, arrays });
    if (question === "about") return answer({}, about);
    if (question === "codes") {
      const { quantised, low, step, ...rest } = this.arrays, mean = new Float32Array(quantised.data.length);
      for (let i = 0; i < mean.length; i++) mean[i] = low.data[i % D] + (quantised.data[i] + 32768) * step.data[i % D];
      const kept = Object.fromEntries(Object.entries(rest).filter(([name]) => name === "labels" || name === "rows" || name.startsWith("factor")));
      return answer({ mean: { shape: quantised.shape, data: mean }, ...kept }, codes);
    }
    if (question === "decode") return answer({ mean: { shape: [values.z.length, ...about.shape], data: await this.decode(values.z, values.labels) } });
    if (question === "examples" && this.arrays.examples) {
      const at = (this.arrays.example_of.data as Int32Array).indexOf(values.rows[0]), size = about.shape.reduce((a: number, b: number) => a * b, 1), [low, high] = about.range;
      if (at < 0) return answer({});
      return answer({ x: { shape: [1, ...about.shape], data: Float32Array.from(this.arrays.examples.data.subarray(at * size, (at + 1) * size), (v) => low + (v / 255) * (high - low)) } });
    }
    if (question === "describe" && units) return answer({}, { units });
    if (question === "encode" && this.arrays.encoder) {
      const [low, high] = about.range, x = Float32Array.from(values.image, (v: number) => low + v * (high - low));
      const outputs = await this.send({ graph: "encoder", feeds: { x: { values: x, shape: [1, ...about.shape] }, ...this.labels(1, values.label == null ? undefined : [values.label]) } });
      const mean = outputs.mean.data, shown = await this.decode([mean], values.label == null ? undefined : [values.label]);
      let error = 0;
      for (let i = 0; i < x.length; i++) error += Math.abs(x[i] - shown[i]) / (high - low) / x.length;
      const facts: any = { pixel_error: error };
      const std = outputs.log_variance ? Float32Array.from(outputs.log_variance.data as Float32Array, (v) => Math.exp(v / 2)) : null;
      if (std && about.standard_prior && this.facts.closed_rate) facts.rate = std.reduce((sum, s, d) => sum + 0.5 * (s * s + mean[d] ** 2 - 1) - Math.log(s), 0);
      return answer({ mean: { shape: [1, D], data: mean }, reconstruction: { shape: about.shape, data: shown }, ...(std ? { std: { shape: [1, D], data: std } } : {}) }, facts);
    }
    if (question === "reencode" && this.arrays.encoder) {
      const x = await this.decode(values.z, values.labels), n = values.z.length;
      const outputs = await this.send({ graph: "encoder", feeds: { x: { values: x, shape: [n, ...about.shape] }, ...this.labels(n, values.labels) } });
      const error = Float32Array.from(values.z, (code: number[], i) => Math.hypot(...code.map((v, d) => outputs.mean.data[i * D + d] - v)));
      return answer({ error: { shape: [n], data: error } });
    }
    if (question === "interpolate" && values.path !== "density") {
      const z = (values.path === "linear" ? linear : spherical)(values.codes, values.n);
      return answer({ z: { shape: [z.length, D], data: Float32Array.from(z.flatMap((v) => [...v])) }, mean: { shape: [], data: await this.decode(z, values.labels) } });
    }
    if (question === "sample" && about.standard_prior) {
      const z = Float32Array.from({ length: D * values.n }, () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
      return answer({ z: { shape: [values.n, D], data: z } });
    }
    throw new Refused(400, about.can[question] ?? "A file cannot answer that: zatlas explore can.");
  }
}

mount(document.getElementById("zatlas")!, new FileBackend());
