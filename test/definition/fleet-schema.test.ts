import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { fleetSchema, fleetSchemaText } from "../../src/definition/fleet-schema.ts";
import { keysAt } from "../../src/definition/zod-problem.ts";
import { patterns } from "../../src/pattern/index.ts";

const ROOT = join(import.meta.dirname, "../..");
const validate = new Ajv({ strict: false, allErrors: true }).compile(fleetSchema(patterns.values()));

const NEWSROOM = `name: newsroom
tools:
  publish: { module: ./tools.ts#publish, effect: write }
agents:
  lead: { model: anthropic/MODEL, instructions: "Plan.", tools: [publish] }
  writer: { model: anthropic/MODEL, instructions: { file: prompts/writer.md }, output: { file: draft.json } }
workflows:
  article: { pattern: supervisor, lead: lead, workers: [writer], limits: { costUsdMax: 0.5 } }
  own: { pattern: { module: ./mine.ts#mine }, anything: [goes] }
`;

describe("I1: the published JSON Schema", () => {
  test("is current: flotilla schema > schema/fleet.schema.json", () => {
    expect(readFileSync(join(ROOT, "schema/fleet.schema.json"), "utf8")).toBe(fleetSchemaText(patterns.values()));
  });

  test("takes a right fleet", () => {
    expect(validate(parse(NEWSROOM)), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each([
    ["a misspelt key", (yaml: string) => yaml.replace("instructions", "instuctions")],
    ["a wrong effect", (yaml: string) => yaml.replace("write }", "wrote }")],
    ["an option of another pattern", (yaml: string) => yaml.replace("workers:", "stages: [lead], workers:")],
    ["an unknown pattern", (yaml: string) => yaml.replace("supervisor", "supervisr")],
  ])("refuses %s", (_, change) => {
    expect(validate(parse(change(NEWSROOM)))).toBe(false);
  });

  test("describes every key; those of patterns are their authors' own", () => {
    const undescribed: string[] = [];
    const walk = (schema: unknown, path: string): void => {
      if (typeof schema !== "object" || schema === null) return;
      for (const [key, value] of Object.entries(schema)) {
        if (key === "properties" && !Array.isArray(value)) {
          for (const [name, property] of Object.entries(value as Record<string, { description?: string }>)) {
            if (property.description === undefined) undescribed.push(`${path}.${name}`);
            walk(property, `${path}.${name}`);
          }
        } else walk(value, path);
      }
    };
    walk(fleetSchema(patterns.values()).properties, "");
    const own = [...patterns.values()].flatMap((pattern) => keysAt(pattern.options, []));
    const elsewhere = new Set(own.map((key) => `.${key}`));
    expect(undescribed.filter((path) => !elsewhere.has(path.replace(/(?<=.)\..*$/, "")))).toEqual([]);
  });

  const examples = globSync("examples/*/fleet.yaml", { cwd: ROOT });

  test.runIf(existsSync(join(ROOT, "examples")))(`takes every example: ${examples.join(", ")}`, () => {
    for (const example of examples) {
      expect(
        validate(parse(readFileSync(join(ROOT, example), "utf8"))),
        `${example} ${JSON.stringify(validate.errors)}`,
      ).toBe(true);
    }
  });
});
