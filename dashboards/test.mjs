// Runs the tests of the pure parts: each src/**/*.test.ts is bundled and given to Node's runner.
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as esbuild from "esbuild";

const entries = (await readdir("src", { recursive: true })).filter((name) => /\.test\.tsx?$/.test(name)).map((name) => join("src", name));
const outdir = await mkdtemp(join(tmpdir(), "pikett-console-"));
await esbuild.build({ entryPoints: entries, outdir, outExtension: { ".js": ".mjs" }, bundle: true, platform: "node", format: "esm", jsx: "automatic", jsxImportSource: "preact" });
const made = (await readdir(outdir, { recursive: true })).filter((name) => name.endsWith(".mjs")).map((name) => join(outdir, name));
const run = spawnSync(process.execPath, ["--test", ...made], { stdio: "inherit" });
await rm(outdir, { recursive: true });
process.exit(run.status ?? 1);
