// Builds the page into the package, under fixed names, and writes down what it was built from.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { init, compress } from "@bokuweb/zstd-wasm";
import { build as esbuild } from "esbuild";
import { build } from "vite";

const out = process.argv[2] ?? "../src/zatlas/explorer/static";
mkdirSync(out, { recursive: true });

async function bundle(entry, name, format = "iife") {
  await build({
    configFile: false, logLevel: "warn",
    esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none", charset: "ascii" },
    build: {
      outDir: out, emptyOutDir: false, target: "es2022", minify: "esbuild", cssCodeSplit: false, modulePreload: false,
      rollupOptions: { input: entry, preserveEntrySignatures: "strict", output: { format, entryFileNames: `${name}.js`, assetFileNames: "app[extname]", inlineDynamicImports: true } },
    },
    define: { "process.env.NODE_ENV": '"production"' },
  });
}

await bundle("src/main.tsx", "app");
await bundle("src/file.tsx", "file");
await bundle("src/widget.tsx", "widget", "es");

// the worker of the exported file, and the WebAssembly that it runs; a classic script, as Chromium refuses a module
// worker from a blob on file://
await esbuild({
  entryPoints: ["src/worker.ts"], bundle: true, format: "iife", minify: true, target: "es2022", charset: "ascii",
  legalComments: "none", outfile: `${out}/worker.js`, define: { "import.meta.url": "self.location.href" },
  external: ["module", "worker_threads", "node:*", "fs", "path", "os"], logLevel: "error",
});
await init();
writeFileSync(`${out}/ort.wasm.zst`, compress(readFileSync("node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"), 19));
copyFileSync("index.html", `${out}/index.html`);
copyFileSync("icon.svg", `${out}/icon.svg`);

const sources = [...readdirSync("src").map((name) => `src/${name}`), "index.html", "icon.svg", "build.mjs", "package-lock.json"].sort();
const digest = createHash("sha256");
for (const name of sources) digest.update(`${name}\n`).update(readFileSync(name)).update("\n");
writeFileSync(`${out}/BUILD.json`, JSON.stringify({ sources: digest.digest("hex") }) + "\n");
