// ONNX in a worker of the exported file: its graphs, on one thread of WebAssembly.

import { Decompress } from "fzstd";
import * as ort from "onnxruntime-web/wasm";

const PIECE = 2 ** 17;
const sessions: Record<string, Promise<ort.InferenceSession>> = {};
let graphs: Record<string, Uint8Array> = {};
let compiled: Promise<WebAssembly.Module>;
let known: (() => void) | null = null; // calls what waits for the graphs
const there = new Promise<void>((done) => (known = done));

/** WebAssembly compiled while it is still being unpacked: on other threads, where there are some. */
function compile(packed: Uint8Array): Promise<WebAssembly.Module> {
  const stream = new ReadableStream<Uint8Array>({
    start(out) {
      const unpacking = new Decompress((piece) => out.enqueue(piece));
      for (let at = 0; at < packed.length; at += PIECE) unpacking.push(packed.subarray(at, at + PIECE), at + PIECE >= packed.length);
      out.close();
    },
  });
  return WebAssembly.compileStreaming(new Response(stream, { headers: { "Content-Type": "application/wasm" } }));
}

function prepare(packed: Uint8Array): void {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.logLevel = "error";
  compiled = compile(packed);
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
    } else {
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
