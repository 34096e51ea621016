// Bundles src/ into one folder: names with a content hash, compressed twins, and a manifest.
// Called by `python -m platform_api.web.build`, which decides whether there is anything to do.
import { build } from "esbuild";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [outdir, inputs] = process.argv.slice(2);

const result = await build({
  entryPoints: ["theme.js", "app.js", "editor.js", "chart.js", "log.js", "app.css"].map((name) => join("src", name)),
  outdir,
  bundle: true,
  minify: true,
  splitting: true,
  format: "esm",
  target: ["chrome123", "firefox121", "safari17.5"],
  loader: { ".woff2": "file" },
  assetNames: "[name]-[hash]",
  entryNames: "[name]-[hash]",
  chunkNames: "chunk-[hash]",
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
});

const assets = {};
for (const [path, output] of Object.entries(result.metafile.outputs)) {
  const name = basename(path);
  if (output.entryPoint) assets[basename(output.entryPoint)] = name;
  // A font is compressed already.
  if (extname(path) === ".woff2") continue;
  const text = readFileSync(path);
  if (![".js", ".css"].includes(extname(path))) throw new Error(`${path}: a kind of file that nothing serves`);
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
  writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
  writeFileSync(`${path}.br`, brotliCompressSync(text, quality));
}
// Written last: without it there is no build.
writeFileSync(join(outdir, "manifest.json"), JSON.stringify({ inputs, assets }, null, 1) + "\n");
