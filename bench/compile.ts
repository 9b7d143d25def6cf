import { spawnSync } from "node:child_process";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";

/** Builds Flotilla into `folder` as the package is published, with its benchmark beside it: Node's reading of TypeScript
 *  takes time and memory that no user of the package pays. Returns the folder of the compiled benchmark. */
export async function compile(folder: string): Promise<string> {
  const root = join(import.meta.dirname, "..");
  const project = join(folder, "tsconfig.json");
  const compilerOptions = {
    rootDir: root,
    outDir: folder,
    declaration: false,
    emitDeclarationOnly: false,
    noCheck: true,
    types: [],
  };
  const include = [join(root, "bench")];
  writeFileSync(project, JSON.stringify({ extends: join(root, "tsconfig.build.json"), compilerOptions, include }));
  writeFileSync(join(folder, "package.json"), '{ "name": "flotilla", "version": "0.0.0", "type": "module" }');
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", project], { encoding: "utf8" });
  if (status !== 0) throw new Error(`Flotilla does not compile: ${stdout}`);
  rmSync(join(folder, "src"), { recursive: true });
  // Late: what is measured must not hold a compiler in its memory.
  const { bundle } = await import("../tools/bundle.ts");
  await bundle(join(folder, "src"));
  return join(folder, "bench");
}

/** Whether this is the compiled benchmark. */
export const isCompiled = extname(import.meta.filename) === ".js";

/** The path of another module of the benchmark, compiled when this one is. */
export function sibling(name: string): string {
  return join(import.meta.dirname, `${name}${extname(import.meta.filename)}`);
}
