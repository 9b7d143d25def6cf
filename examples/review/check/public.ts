import { posix } from "node:path";
import type { Change } from "../git/change.ts";
import { masked } from "./source.ts";

const INDEX = ["src/index.ts", "src/index.js", "index.ts", "index.js", "src/index.mjs", "index.mjs", "lib/index.js"];

/** The file that callers of the package import; null when it has none that can be told. */
export async function entryOf(change: Change, side: "base" | "head"): Promise<string | null> {
  const paths = new Set(await change.paths(side));
  const declared = mainOf((await change.read(side, "package.json")) ?? "{}").map((path) => posix.normalize(path));
  return [...declared, ...INDEX].find((path) => paths.has(path)) ?? null;
}

function mainOf(manifest: string): string[] {
  try {
    const { exports, main } = JSON.parse(manifest) as { exports?: unknown; main?: unknown };
    return [exports, main].flatMap(textsIn);
  } catch (error) {
    if (error instanceof SyntaxError) return []; // a package.json that is none declares nothing
    throw error;
  }
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

export interface Reached {
  path: string;
  /** Whether a name that it declares is let through. */
  exports(name: string): boolean;
}

const PASSED_ON = /export\s*(\*|\{[^}]*\})\s*from\s*["'](\.[^"']+)["']/g;

/** Files whose names an entry exports, and which of them. */
export async function reachable(change: Change, side: "base" | "head", entry: string): Promise<Reached[]> {
  const paths = new Set(await change.paths(side));
  const found: Reached[] = [];
  const open: Reached[] = [{ path: entry, exports: () => true }];
  const seen = new Set<string>();
  for (let next = open.shift(); next !== undefined; next = open.shift()) {
    const { path, exports } = next;
    found.push(next);
    if (seen.has(path)) continue;
    seen.add(path);
    const text = masked((await change.read(side, path)) ?? "", path, { strings: false });
    for (const [, what = "", from = ""] of text.matchAll(PASSED_ON)) {
      const target = fileOf(paths, posix.join(posix.dirname(path), from));
      if (target !== null) open.push({ path: target, exports: (name) => exports(name) && lets(what, name) });
    }
  }
  return found;
}

const lets = (what: string, name: string): boolean => what === "*" || new RegExp(`[{,]\\s*${name}\\b`).test(what);

function fileOf(paths: ReadonlySet<string>, path: string): string | null {
  const bare = path.replace(/\.[cm]?js$/, "");
  return (
    [path, ...[".ts", ".js", ".tsx", ".mjs", "/index.ts", "/index.js"].map((end) => bare + end)].find((one) =>
      paths.has(one),
    ) ?? null
  );
}
