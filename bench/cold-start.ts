import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { compile, isCompiled } from "./compile.ts";
import { makeFolder, type StoreKind, storeUrl } from "./subject.ts";

/** Milliseconds from the start of a process to the first result of a fleet that it opens as a value from the compiled
 *  package, in a folder where nothing was before; one for each of `starts`. */
export async function coldStarts(store: StoreKind, starts: number): Promise<number[]> {
  const folder = makeFolder();
  try {
    const script = join(folder, "start.mjs");
    writeFileSync(script, scriptOf(pathToFileURL(await compiledIndex(folder)).href));
    const times: number[] = [];
    // The first reads everything from disk, which is the disk's time and not ours.
    for (let i = 0; i <= starts; i++) {
      const place = join(folder, String(i));
      mkdirSync(place, { mode: 0o700 });
      times.push(await timeToFirstLine([script, storeUrl(store, place)]));
    }
    return times.slice(1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The compiled package's main module. */
async function compiledIndex(folder: string): Promise<string> {
  const bench = isCompiled ? import.meta.dirname : await compile(folder);
  return join(bench, "..", "src", "index.js");
}

function scriptOf(index: string): string {
  return `
    import { agent, fleet, open, pipeline } from ${JSON.stringify(index)};
    const noop = agent({ description: "Returns its input", run: (context, input) => input });
    const app = await open(fleet({ name: "cold", agents: { noop }, workflows: { one: pipeline({ stages: [noop] }) } }), { store: process.argv[2] });
    const run = await app.start("one", { text: "first" });
    console.log(JSON.stringify(await run.result()));
    await app.close();
  `;
}

function timeToFirstLine(args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    let ms: number | null = null;
    child.stdout.on("data", () => {
      ms ??= performance.now() - start;
    });
    child.once("error", reject);
    child.once("exit", (code) => {
      if (code === 0 && ms !== null) resolve(ms);
      else reject(new Error(`a process that opened a fleet ended with ${code}`));
    });
  });
}
