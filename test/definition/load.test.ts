import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { ToolContext } from "../../src/definition/context.ts";
import { findDefinition, loadCode, loadFleet } from "../../src/definition/load.ts";
import { folderWith, problemsIn, short } from "./folder.ts";

const FLEET = `import { z } from "ZOD";
import { agent, fleet, tool } from "FLOTILLA";
import { factor } from "./factor.ts";
import type { Gone } from "./gone.ts";
const double = tool({
  description: "Doubles", effect: "read", input: z.object({ n: z.number() }), run: ({ n }) => n * factor,
});
const reader = agent({ tools: [double], run: (ctx, input) => ctx.tool(double, input as { n: number }) });
export default fleet({ name: "doubler", tools: { double }, agents: { reader }, workflows: {} });
`;
const FILES = { "fleet.ts": FLEET, "factor.ts": "export const factor: number = 2;\n" };

describe("I1: a fleet in a module", () => {
  test("is read in a process of its own, and its code is where the module is", async () => {
    const folder = folderWith(FILES);
    const { definition, file } = await loadFleet(pathToFileURL(join(folder, "fleet.ts")));
    expect(file).toBe(join(folder, "fleet.ts"));
    expect(definition.tools.double).toMatchObject({
      kind: "code",
      module: { module: "./fleet.ts", export: "default" },
    });
    expect(definition.agents.reader).toMatchObject({ kind: "code", tools: ["double"] });
    expect(Object.keys(definition.modules)).toEqual(["factor.ts", "fleet.ts"]);
  });

  test("its code runs where it is loaded", async () => {
    const folder = folderWith(FILES);
    const { definition } = await loadFleet(folder);
    const code = await loadCode(definition, folder);
    await expect(code.tools.get("double")?.run({ n: 21 }, {} as ToolContext)).resolves.toBe(42);
    expect([...code.agents.keys()]).toEqual(["reader"]);
  });

  test("code that changed since is refused, naming the module", async () => {
    const folder = folderWith(FILES);
    const { definition } = await loadFleet(folder);
    writeFileSync(join(folder, "factor.ts"), "export const factor: number = 3;\n");
    await expect(loadCode(definition, folder)).rejects.toThrow(
      expect.objectContaining({ code: "DEFINITION_MISSING", message: expect.stringContaining("factor.ts") }),
    );
  });

  test("a change is read afresh", async () => {
    const folder = folderWith(FILES);
    const { hash } = await loadFleet(folder);
    writeFileSync(join(folder, "fleet.ts"), FILES["fleet.ts"].replaceAll("doubler", "tripler"));
    const files = folderWith({ ...FILES, "fleet.ts": FILES["fleet.ts"].replaceAll("doubler", "tripler") });
    const again = await loadFleet(files);
    expect(again.definition.name).toBe("tripler");
    expect(again.hash).not.toBe(hash);
  });

  test.each([
    [
      "does not compile",
      "const a = = 1;\n",
      "DEFINITION_SYNTAX fleet.ts:1 [=] fleet.ts does not compile: Expression expected",
    ],
    [
      "throws",
      "\nthrow new TypeError('no');\n",
      "DEFINITION_SYNTAX fleet.ts:2 [n] fleet.ts failed while it was loaded: TypeError: no",
    ],
    [
      "imports a name that is not exported",
      `import { nope } from "./factor.ts";\nnope();\n`,
      "DEFINITION_SYNTAX fleet.ts:1 [nope] fleet.ts does not compile",
    ],
    ["has no default export", "export const a = 1;\n", "DEFINITION_INVALID fleet.ts fleet.ts has no default export"],
    [
      "exports something else",
      "export default 1;\n",
      "DEFINITION_INVALID fleet.ts fleet.ts does not export a fleet by default",
    ],
    [
      "gives a wrong option",
      `import { tool } from "FLOTILLA";\ntool({ effect: "reed" });\n`,
      `DEFINITION_MISSING_KEY fleet.ts:2`,
    ],
  ])("one that %s is told of with its place", async (_, code, expected) => {
    const [first] = await problemsIn({ ...FILES, "fleet.ts": code });
    expect(first && short(first)).toContain(expected);
  });
});

describe("I1: code of a fleet in YAML", () => {
  const yaml = (name: string) => `name: f
tools:
  double: { module: "./tools.ts#${name}", effect: read, description: d, input: { type: object } }
agents:
  reader: { module: "./tools.ts#reader", tools: [double] }
workflows: { main: { pattern: pipeline, stages: [reader] } }
`;
  const tools = `export const double = ({ n }: { n: number }) => n * 2;
export const reader = async (ctx: unknown, input: unknown) => input;
`;

  test("bare functions are tools and agents", async () => {
    const folder = folderWith({ "fleet.yaml": yaml("double"), "tools.ts": tools });
    const { definition } = await loadFleet(folder);
    const code = await loadCode(definition, folder);
    await expect(code.tools.get("double")?.run({ n: 4 }, {} as ToolContext)).resolves.toBe(8);
    await expect(code.agents.get("reader")?.run({} as never, { a: 1 })).resolves.toEqual({ a: 1 });
  });

  test("a module without the export says which it has", async () => {
    const folder = folderWith({ "fleet.yaml": yaml("double"), "tools.ts": tools });
    const { definition } = await loadFleet(folder);
    const module = { module: "./tools.ts", export: "duoble" };
    const double = { ...definition.tools.double, module } as (typeof definition.tools)[string];
    await expect(loadCode({ ...definition, tools: { double } }, folder)).rejects.toThrow(
      expect.objectContaining({
        code: "DEFINITION_REFERENCE",
        hint: `It exports: double, reader. Did you mean "double"?`,
      }),
    );
  });
});

describe("I6: the definition is searched for upwards, as far as the repository's root", () => {
  const inside = (files: Readonly<Record<string, string>>) => {
    const folder = folderWith({ ".git/HEAD": "", ...files });
    mkdirSync(join(folder, "a/b"), { recursive: true });
    return folder;
  };

  test("the nearest one is it", () => {
    const folder = inside({ "fleet.yaml": "", "a/fleet.ts": "" });
    expect(findDefinition(join(folder, "a/b"))).toBe(join(folder, "a/fleet.ts"));
    expect(findDefinition(folder)).toBe(join(folder, "fleet.yaml"));
  });

  test("two in one folder are an error that names both", () => {
    const folder = inside({ "fleet.yaml": "", "fleet.ts": "" });
    expect(() => findDefinition(join(folder, "a"))).toThrow(
      expect.objectContaining({ code: "DEFINITION_AMBIGUOUS", message: `${folder} has both fleet.yaml and fleet.ts` }),
    );
  });

  test("none is an error that says where it was looked for", () => {
    const folder = inside({});
    expect(() => findDefinition(join(folder, "a/b"))).toThrow(
      expect.objectContaining({ code: "DEFINITION_NOT_FOUND", message: expect.stringContaining(`up to ${folder}`) }),
    );
  });

  test("a file that is no definition is refused by its name", async () => {
    const folder = inside({ "fleet.json": "{}" });
    await expect(loadFleet(join(folder, "fleet.json"))).rejects.toThrow("fleet.json is not a definition");
    await expect(loadFleet(join(folder, "gone.yaml"))).rejects.toThrow(
      expect.objectContaining({ code: "DEFINITION_NOT_FOUND" }),
    );
  });
});
