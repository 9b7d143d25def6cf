import { join } from "node:path";
import { type OutputChunk, rolldown } from "rolldown";

const root = join(import.meta.dirname, "..");

/** Modules that are opened by their path: what `package.json` exports and runs, and what processes are started with. */
const ENTRIES = [
  ...["index", "conformance/index", "simulator/index", "testing/vitest", "cli/bin"],
  ...["runtime/host-main", "definition/module-reader-main", "simulator/campaign-main"],
];

/** Chunks, each with all that its modules import and no chunk above it has: what every command line needs, what a worker
 *  process needs besides, and all else behind `open`. */
const CHUNKS: Record<string, RegExp> = {
  base: /[\\/]src[\\/](?:error|version|definition[\\/](?:nearest|problem))\.ts$/,
  worker: /[\\/]src[\\/](?:runtime[\\/](?:agents|worker)|message[\\/]handshake|carrier[\\/]pipe)\.ts$/,
  flotilla: /[\\/]src[\\/](?:open|definition[\\/]build)\.ts$/,
};

/** Writes the JavaScript of `src` into `folder` as it is published: the entries in their places, what they share in
 *  `chunk`. To find and read 160 files takes longer than to run them (W4: cold start). Dependencies stay outside, since
 *  users' code shares them. */
export async function bundle(folder: string): Promise<void> {
  const build = await rolldown({
    cwd: root,
    input: Object.fromEntries(ENTRIES.map((name) => [name, join(root, "src", `${name}.ts`)])),
    platform: "node",
    external: /^(?:node:|@?[a-z][a-z0-9-]*(?:\/|$))/,
  });
  const { output } = await build.write({
    dir: folder,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "chunk/[name].js",
    codeSplitting: {
      groups: Object.entries(CHUNKS).map(([name, test], index, { length }) => ({
        name,
        test,
        priority: length - index,
      })),
    },
  });
  await build.close();
  for (const chunk of output) if (chunk.type === "chunk") checkPlace(chunk);
}

/** Code that finds files from its own place must lie as deep as it does in `src`: one folder down. */
function checkPlace({ fileName, code }: OutputChunk): void {
  if (fileName.split("/").length !== 2 && code.includes("import.meta.url"))
    throw new Error(`${fileName} asks for its place, and lies elsewhere than its modules do in src`);
}
