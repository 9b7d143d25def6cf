import { readFile } from "node:fs/promises";
import { dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { FleetDefinition, ModuleRef } from "../core/definition.ts";
import { FlotillaError } from "../error.ts";
import { sha256 } from "../message/canonical.ts";

/** `./tools.ts#publish` as module and export; without `#`, the default export. */
export function moduleRef(text: string): ModuleRef {
  const [module = text, name = "default"] = text.split("#");
  return { module, export: name };
}

export function moduleKey({ module, export: name }: ModuleRef): string {
  return `${module}#${name}`;
}

const SPECIFIER = /(?:\bfrom|\bimport|\brequire|\bURL)\s*\(?\s*(["'])(\.{1,2}\/[^"'\n]+)\1/g;

/** SHA-256, in hex, of each module and of all local modules that they import, by path relative to `folder`.
 *
 *  Imports are found by their text: a relative path in quotes behind `from`, `import`, `import(`, `require(` or
 *  `new URL(`. That errs on the side of hashing too much (an import in a comment counts if the file exists). It does
 *  not follow paths that are put together at run time, packages, nor the `#` imports of a package.json.
 *  Modules that cannot be read are left out: importing them tells why. */
export async function hashModules(folder: string, modules: Iterable<string>): Promise<Record<string, string>> {
  const hashes = new Map<string, string>();
  const queue = [...modules].map((module) => resolve(folder, module));
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    const name = relative(folder, file).split(sep).join("/");
    if (hashes.has(name)) continue;
    const bytes = await contentOf(file);
    if (bytes === null) continue;
    hashes.set(name, sha256(bytes).toString("hex"));
    for (const [, , path] of bytes.toString("utf8").matchAll(SPECIFIER)) {
      if (path !== undefined) queue.push(resolve(dirname(file), path.replace(/[?#].*$/, "")));
    }
  }
  return Object.fromEntries([...hashes].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

async function contentOf(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT" || code === "EISDIR" || code === "ENOTDIR") return null;
    throw error;
  }
}

/** Refuses local modules that are not those which the definition was made with, so that a run never goes on with
 *  other code than it started with. @throws {FlotillaError} DEFINITION_MISSING naming what changed */
export async function verifyModules(definition: FleetDefinition, folder: string): Promise<void> {
  const today = await hashModules(folder, Object.keys(definition.modules));
  const changed = Object.entries(definition.modules).filter(([name, hash]) => today[name] !== hash);
  if (changed.length === 0) return;
  const names = changed.map(([name]) => (today[name] === undefined ? `${name} (gone)` : name));
  throw new FlotillaError("DEFINITION_MISSING", `code changed since the definition was read: ${names.join(", ")}`, {
    details: { modules: names },
  });
}

/** Imports a local module. @throws whatever its code throws, and Node's own errors */
export async function importModule(folder: string, module: string): Promise<Record<string, unknown>> {
  return (await import(pathToFileURL(resolve(folder, module)).href)) as Record<string, unknown>;
}

/** A definition's path from what people pass: a path, a `file:` URL or its text. */
export function definitionPath(where: string | URL): string {
  if (where instanceof URL) return fileURLToPath(where);
  return where.startsWith("file:") ? fileURLToPath(new URL(where)) : resolve(where);
}
