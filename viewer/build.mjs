// Bundles the viewer twice: a classic script for offline pages and a module for notebooks. Usage: node build.mjs [OUT]
import { build } from "esbuild";
import { copyFileSync, mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "..", "src", "lossatlas", "viz", "static");
mkdirSync(out, { recursive: true });

const common = {
  entryPoints: [join(here, "src", "index.ts")],
  bundle: true,
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  loader: { ".css": "text" },
  logLevel: "warning",
};
await build({ ...common, format: "iife", globalName: "lossatlas", outfile: join(out, "viewer.js") });
await build({ ...common, format: "esm", outfile: join(out, "viewer.mjs") });
copyFileSync(join(here, "node_modules", "three", "LICENSE"), join(out, "three.LICENSE.txt"));
console.log(`viewer.js: ${(statSync(join(out, "viewer.js")).size / 1e3).toFixed(0)} kB`);
