import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ADAPTERS, KNOWN_CYCLES, MAY_IMPORT, MAY_TOUCH_TIME } from "./boundary.ts";
import { folderOf, type Import, root, type Source, sources } from "./source.ts";

const all = sources("src");
const pack = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  name: string;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

/** `@scope/name/inner` is the package `@scope/name`. */
const packageOf = (specifier: string) => /^(@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
const isNode = (specifier: string) => specifier.startsWith("node:");

function complaints(of: (source: Source, item: Import) => string | null): string[] {
  return all.flatMap((source) =>
    source.imports.flatMap((item) => {
      const complaint = of(source, item);
      return complaint === null ? [] : [`${source.path} imports ${item.file ?? item.specifier}: ${complaint}`];
    }),
  );
}

describe("import boundaries", () => {
  test("there is something to check", () => {
    expect(all.length).toBeGreaterThan(100);
    expect(all.flatMap((source) => source.imports).length).toBeGreaterThan(300);
  });

  test("each folder imports only what it may know", () => {
    expect(
      complaints(({ path }, { file }) => {
        if (file === null || folderOf(file) === folderOf(path)) return null;
        const may = MAY_IMPORT[folderOf(path)];
        if (may === undefined) return `the folder ${folderOf(path)} is not in test/structure/boundary.ts`;
        const inside = file.replace(/^src\//, "").replace(/\.ts$/, "");
        return may.includes(folderOf(file)) || may.includes(inside) ? null : `${folderOf(path)} may not know it`;
      }),
    ).toEqual([]);
  });

  test("core, pattern and expression know schemas, the expression language and how to load it late, and no more of Node and packages", () => {
    const allowed: Record<string, string[]> = {
      core: ["zod"],
      pattern: ["zod"],
      expression: ["@marcbachmann/cel-js", "node:module"],
    };
    expect(
      complaints(({ path }, { file, specifier }) => {
        const packages = allowed[folderOf(path)];
        return packages === undefined || file !== null || packages.includes(specifier) ? null : "it must stay pure";
      }),
    ).toEqual([]);
  });

  test("implementations of a contract never import each other", () => {
    expect(
      complaints(({ path }, { file }) => {
        const folder = folderOf(path);
        const contract = ADAPTERS[folder];
        if (contract === undefined || file === null || folderOf(file) !== folder) return null;
        const [own, other] = [familyOf(path, contract.families), familyOf(file, contract.families)];
        if (other === undefined || own === other || path.endsWith(`/${contract.openedBy}`)) return null;
        return own === undefined ? `only ${contract.openedBy} knows all of them` : `${own} may not know ${other}`;
      }),
    ).toEqual([]);
  });

  test("no file imports itself by a detour", () => {
    expect(cycles(new Map(all.map(({ path, imports }) => [path, imports.flatMap(loaded)])))).toEqual([]);
  });

  test("folders that need each other are known, with a reason", () => {
    const edges = new Map<string, string[]>();
    for (const { path, imports } of all) {
      const from = folderOf(path);
      if (from === "") continue;
      const to = imports.flatMap(loaded).map(folderOf);
      edges.set(from, [
        ...new Set([...(edges.get(from) ?? []), ...to.filter((folder) => folder !== from && folder !== "")]),
      ]);
    }
    const known = KNOWN_CYCLES.map(({ between }) => [...between].sort().join(" "));
    const found = cycles(edges).map((cycle) => [...new Set(cycle)].sort().join(" "));
    expect(found.filter((cycle) => !known.includes(cycle))).toEqual([]);
    expect(
      known.filter((cycle) => !found.includes(cycle)),
      "known cycles that are gone",
    ).toEqual([]);
  });
});

describe("packages", () => {
  test("optional peers are imported late, or only as types", () => {
    expect(
      complaints(({ path }, { specifier, typeOnly, late }) => {
        if (!(packageOf(specifier) in pack.peerDependencies) || typeOnly || late) return null;
        // These two are for Vitest alone, and whoever imports them has it.
        if (packageOf(specifier) === "vitest" && ["conformance", "testing"].includes(folderOf(path))) return null;
        return "whoever does not use it must not need it";
      }),
    ).toEqual([]);
  });

  test("what the program loads is declared", () => {
    expect(
      complaints((_, { file, specifier, typeOnly }) => {
        if (file !== null || isNode(specifier) || specifier === pack.name) return null;
        const name = packageOf(specifier);
        if (name in pack.dependencies || name in pack.peerDependencies) return null;
        return typeOnly && name in pack.devDependencies ? null : "it is not in package.json";
      }),
    ).toEqual([]);
  });

  test("what is declared is loaded", () => {
    const text = all.map((source) => source.text).join("\n");
    const unused = Object.keys({ ...pack.dependencies, ...pack.peerDependencies }).filter(
      (name) => !new RegExp(`["']${name}["'/]`).test(text),
    );
    expect(unused).toEqual([]);
  });
});

describe("time, chance and the machine", () => {
  const MACHINE =
    /\b(?:(?<!instanceof )Date\b|Math\.random|performance\b|setTimeout|setInterval|setImmediate|queueMicrotask|process\b|crypto\b|fetch\b|globalThis\b|console\b|async\b|await\b|Promise\b)/g;
  const TIME =
    /\b(?:Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|randomUUID|randomInt)\b/g;
  const used = (source: Source, pattern: RegExp) => [
    ...new Set([...source.code.matchAll(pattern)].map(([token]) => token)),
  ];

  test("core, pattern and expression decide without clock, chance, machine or waiting", () => {
    const pure = all.filter(({ path }) => ["core", "pattern", "expression"].includes(folderOf(path)));
    expect(pure.length).toBeGreaterThan(15);
    expect(pure.flatMap((source) => used(source, MACHINE).map((token) => `${source.path} uses ${token}`))).toEqual([]);
  });

  test("randomness of the machine is taken in src/platform alone", () => {
    const taken = /^import \{[^}]*\b(random\w*|webcrypto|getRandomValues)\b[^}]*\} from "node:crypto"/m;
    const found = all.filter(({ text }) => taken.test(text)).map(({ path }) => path);
    expect(found.filter((path) => folderOf(path) !== "platform")).toEqual([]);
  });

  test("everything else gets time and chance from src/platform, but for what is named with its reason", () => {
    const rest = all.filter(({ path }) => !["platform", "cli"].includes(folderOf(path)));
    const found = rest.flatMap((source) => (used(source, TIME).length > 0 ? [source.path] : []));
    const unexplained = found.filter((path) => !(path in MAY_TOUCH_TIME));
    const using = (path: string) => used(rest.find((source) => source.path === path) as Source, TIME).join(", ");
    expect(unexplained.map((path) => `${path} uses ${using(path)}`)).toEqual([]);
    expect(
      Object.keys(MAY_TOUCH_TIME).filter((path) => !found.includes(path)),
      "exceptions that are not needed",
    ).toEqual([]);
  });
});

function familyOf(path: string, families: readonly string[]): string | undefined {
  const name = path.split("/").at(-1) ?? "";
  return families.filter((family) => name.startsWith(family)).sort((a, b) => b.length - a.length)[0];
}

/** The files that are there when the importing one runs. */
function loaded({ file, typeOnly, late }: Import): string[] {
  return file === null || typeOnly || late ? [] : [file];
}

/** Every cycle that a walk from each node meets first, as the path back to where it began. */
function cycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): void => {
    const begin = path.indexOf(node);
    if (begin >= 0) found.push([...path.slice(begin), node]);
    if (begin >= 0 || done.has(node)) return;
    path.push(node);
    for (const next of edges.get(node) ?? []) visit(next);
    path.pop();
    done.add(node);
  };
  for (const node of edges.keys()) visit(node);
  return found;
}
