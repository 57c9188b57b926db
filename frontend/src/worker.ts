// ONNX in a worker of the exported file: its graphs, on one thread of WebAssembly.

import { decompress } from "fzstd";
import * as ort from "onnxruntime-web/wasm";
import { unescaped } from "./blocks";

const sessions: Record<string, Promise<ort.InferenceSession>> = {};
let graphs: Record<string, Uint8Array> = {};
let compiled: Promise<WebAssembly.Module>;
let known: (() => void) | null = null; // calls what waits for the graphs
const there = new Promise<void>((done) => (known = done));

function prepare(packed: string): void {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.logLevel = "error";
  // unpacked in pieces, to be compiled meanwhile, it took half as long again: each piece moves what was before it
  compiled = WebAssembly.compile(decompress(unescaped(packed)) as BufferSource);
  compiled.catch(() => {}); // whoever asks for it is told
  // the runtime takes bytes and no module: it is given none, and the module in their place
  ort.env.wasm.wasmBinary = new ArrayBuffer(8);
  const own = WebAssembly.instantiate;
  (WebAssembly as any).instantiate = async (source: any, imports: any) => {
    if (source instanceof WebAssembly.Module) return own(source, imports);
    const module = await compiled;
    return { module, instance: await own(module, imports) };
  };
}

const session = (name: string): Promise<ort.InferenceSession> => (sessions[name] ??= ort.InferenceSession.create(graphs[name], { executionProviders: ["wasm"], graphOptimizationLevel: "all" }));

self.onmessage = async ({ data }: MessageEvent) => {
  try {
    if (data.wasm) prepare(data.wasm);
    else if (data.graphs) {
      graphs = data.graphs;
      known!();
      await session("decoder");
    } else if (data.graph) {
      await there;
      const feeds: Record<string, ort.Tensor> = {};
      for (const [name, { values, shape }] of Object.entries<any>(data.feeds)) feeds[name] = new ort.Tensor("float32", values, shape);
      const found = await (await session(data.graph)).run(feeds), outputs: Record<string, any> = {};
      for (const [name, tensor] of Object.entries(found)) outputs[name] = { data: tensor.data, shape: tensor.dims };
      return self.postMessage({ id: data.id, outputs });
    }
    self.postMessage({ id: data.id, outputs: {} });
  } catch (error: any) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
};
