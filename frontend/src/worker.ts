// ONNX in a worker of the exported file: its graphs, on one thread of WebAssembly.

import { decompress } from "fzstd";
import * as ort from "onnxruntime-web/wasm";

const sessions: Record<string, ort.InferenceSession> = {};
let ready: Promise<void> = Promise.resolve();

async function open(wasm: Uint8Array, graphs: Record<string, Uint8Array>): Promise<void> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.proxy = false;
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = decompress(wasm).slice().buffer as ArrayBuffer; // which alone is the module
  for (const [name, graph] of Object.entries(graphs))
    sessions[name] = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
}

self.onmessage = async ({ data }: MessageEvent) => {
  try {
    if (data.open) {
      ready = open(data.open.wasm, data.open.graphs);
      await ready;
      return self.postMessage({ id: data.id, outputs: {} });
    }
    await ready;
    const session = sessions[data.graph], feeds: Record<string, ort.Tensor> = {};
    for (const [name, { values, shape }] of Object.entries<any>(data.feeds)) feeds[name] = new ort.Tensor("float32", values, shape);
    const found = await session.run(feeds), outputs: Record<string, any> = {};
    for (const [name, tensor] of Object.entries(found)) outputs[name] = { data: tensor.data, shape: tensor.dims };
    self.postMessage({ id: data.id, outputs });
  } catch (error: any) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
};
