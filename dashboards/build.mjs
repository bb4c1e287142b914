// Builds the console into dist/: one script, one style sheet, one page, one icon.
// `--watch` rebuilds on change. Nothing is fetched; nothing inline is produced.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import * as esbuild from "esbuild";

const watch = process.argv.includes("--watch");
const options = {
  entryPoints: { app: "src/main.tsx" },
  outdir: "dist",
  bundle: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: !watch,
  sourcemap: watch ? "linked" : false,
  legalComments: "none", // the licences of what is bundled are in licenses.txt, whole
  logLevel: "info",
};

await rm("dist", { recursive: true, force: true });
await mkdir("dist", { recursive: true });
for (const name of ["index.html", "icon.svg"]) await copyFile(`src/${name}`, `dist/${name}`);
const licences = await Promise.all(["preact", "uplot"].map(async (name) => `${name}\n\n${await readFile(`node_modules/${name}/LICENSE`, "utf8")}`));
await writeFile("dist/licenses.txt", licences.join("\n---\n\n"));
if (watch) {
  const context = await esbuild.context(options);
  await context.watch();
} else {
  await esbuild.build(options);
}
