import { resolve } from "node:path";
import { defineConfig } from "vite";

const root = import.meta.dirname;
const dist = resolve(root, "../dist");

export default defineConfig({
  root,
  // A page that works wherever it is put.
  base: "./",
  resolve: {
    alias: [
      { find: /^trypema$/, replacement: resolve(dist, "index.js") },
      { find: /^trypema\/(\w+)$/, replacement: resolve(dist, "$1/index.js") },
    ],
  },
  build: { outDir: resolve(root, "../.build/page"), emptyOutDir: true, target: "es2022" },
  server: { host: "127.0.0.1" },
  preview: { host: "127.0.0.1", open: false },
});
