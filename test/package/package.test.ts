import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root } from "../structure/source.ts";
import { documents, type Snippet } from "../structure/document.ts";
import { createProject, createSibling, pack, type Project, type Tarball } from "./project.ts";

let tarball: Tarball;
let project: Project;

beforeAll(() => {
  tarball = pack();
  project = createProject(tarball, "app", ["publint", "hono", "@hono/node-server", "vitest"]);
});

afterAll(() => {
  project?.[Symbol.dispose]();
  tarball?.[Symbol.dispose]();
});

const installed = (path: string) => join(project.folder, "node_modules", "flotilla", path);
const manifest = () =>
  JSON.parse(readFileSync(installed("package.json"), "utf8")) as Record<string, Record<string, string>>;

describe("what is published", () => {
  test("is the compiled code, the docs, the examples and nothing else", () => {
    const top = [...new Set(tarball.files.map((path) => path.replace(/\/.*/, "")))].sort();
    expect(top).toEqual(
      ["CHANGELOG.md", "LICENSE", "README.md", "dist", "docs", "examples", "package.json", "schema"].sort(),
    );
    expect(tarball.files.filter((path) => path.startsWith("dist/") && !/\.(js|d\.ts)$/.test(path))).toEqual([]);
    expect(tarball.sizeBytes).toBeLessThan(2_000_000);
  });

  test("runs nothing when it is installed", () => {
    // `prepare` and `prepack` are for clones: npm does not run them where a package is installed.
    const scripts = Object.keys(manifest()["scripts"] ?? {});
    expect(scripts.filter((name) => /^(pre|post)?install$/.test(name))).toEqual([]);
  });

  test("names no path of the machine that packed it", () => {
    const texts = tarball.files.filter((path) => /\.(js|ts|json|md)$/.test(path));
    expect(texts.filter((path) => readFileSync(installed(path), "utf8").includes(root))).toEqual([]);
  });

  test("passes publint", () => {
    const output = project.node(join("node_modules", "publint", "src", "cli.js"), "run", installed("."), "--strict");
    expect(output).toContain("All good!");
  });

  test("has a command that any Node can read, so that an old one gets one line", () => {
    const path = installed(manifest()["bin"]?.["flotilla"] ?? "");
    const text = readFileSync(path, "utf8");
    expect(text.startsWith("#!/usr/bin/env node\n")).toBe(true);
    expect(text).not.toMatch(/^import\b/m);
    if (process.platform !== "win32") expect(statSync(path).mode & 0o111).toBe(0o111);
  });

  test("W4: who imports it reads few files, and nothing that only some need", () => {
    writeFileSync(
      join(project.folder, "loaded.ts"),
      `import { registerHooks } from "node:module";
       const loaded: string[] = [];
       registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) });
       await import("flotilla");
       console.log(JSON.stringify(loaded));`,
    );
    const loaded = JSON.parse(project.node("loaded.ts")) as string[];
    const own = loaded.filter((url) => url.includes("/flotilla/dist/"));
    expect(own.length).toBeLessThanOrEqual(5);
    expect(loaded.filter((url) => /node_modules\/(yaml|@marcbachmann|ajv|undici|pino|commander)\//.test(url))).toEqual(
      [],
    );
  });

  test("says its version", () => {
    const { version } = manifest() as unknown as { version: string };
    expect(project.node(installed("dist/cli/bin.js"), "--version").trim()).toBe(version);
  });
});

describe("I6: in a strict TypeScript project", () => {
  test("it compiles, types flow from zod to the result, and mistakes do not compile", () => {
    expect(project.tsc(".")).toEqual({ status: 0, output: "" });
    expect(project.tsc("web")).toEqual({ status: 0, output: "" });
  });

  test("a fleet as a value starts, streams events, gives results, stops, and leaves the process as it was", () => {
    const output = project.node("library.ts", join(project.folder, "library", "store.db"));
    const { types, ...rest } = JSON.parse(output) as { types: string[] };
    expect(rest).toEqual({
      headline: "THE TIDE IS HIGH (4)",
      same: true,
      refused: "INPUT_INVALID",
      outcome: "CANCELLED",
      untouched: true,
    });
    expect(types[0]).toBe("run.started");
    expect(types.at(-1)).toBe("run.completed");
  });

  test("a fleet by its file runs in worker processes", () => {
    const output = project.node("hosts.ts", join(project.folder, "hosts", "store.db"));
    expect(JSON.parse(output)).toEqual({ headline: "THE TIDE IS LOW (4)" });
  });

  test("inside a web framework, also when it was reloaded", () => {
    const output = project.node(join("web", "server.ts"), join(project.folder, "served", "store.db"));
    expect(JSON.parse(output)).toEqual({ headlines: ["ONE (1)", "TWO (1)", "THREE (1)", "ONE (1)"], runs: 3 });
  });
});

describe("C3: a pattern of one's own", () => {
  const answer = 'the answer to "why"';

  test("runs in this process, in worker processes and in the simulator", () => {
    const output = project.node("own-pattern.ts", project.folder);
    expect(JSON.parse(output)).toEqual({
      library: answer,
      hosts: answer,
      simulated: [`completed: ${JSON.stringify(answer)}`],
      violations: [],
    });
  });

  test("runs from the command line", () => {
    const command = [installed("dist/cli/bin.js"), "run", "ask", "--file", "cascade.ts", "--json"];
    const output = project.node(
      ...command,
      "--input",
      '"why"',
      "--store",
      `sqlite:${join(project.folder, "cli", "store.db")}`,
    );
    expect(output).toContain(JSON.stringify(answer));
  });

  test("is simulated from the command line", () => {
    const command = [installed("dist/cli/bin.js"), "simulate", "ask", "--file", "cascade.ts"];
    project.node(...command, "--input", '"why"', "--runs", "5", "--fault", "host.crash=20%");
  });
});

describe
  .skipIf(process.platform === "win32")
  .concurrent("what the documents show works, typed in order in an empty folder", () => {
    const tested = documents().filter(({ snippets }) => snippets.some(({ mark }) => mark?.type === "run"));

    test.each(tested.map(({ path, snippets }) => [path, snippets] as const))("%s", async (_, snippets) => {
      using fresh = createSibling(project);
      const { status, output } = await fresh.shell(snippets.flatMap(command).join("\n"));
      expect(status, output).toBe(0);
    });
  });

/** A marked snippet as shell: commands as they are, files written where the commands stand. */
function command({ mark, text, line }: Snippet): string[] {
  if (mark?.type === "run") return [`echo "line ${line}" >&2`, text];
  return mark?.type === "file" ? [`cat > ${mark.path} <<'END_OF_FILE'\n${text}END_OF_FILE`] : [];
}
