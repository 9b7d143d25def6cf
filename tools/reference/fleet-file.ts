import { readFileSync } from "node:fs";
import { join } from "node:path";
import { code, table } from "./markdown.ts";

interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  const?: string;
  enum?: readonly string[];
  default?: unknown;
  required?: readonly string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  items?: Schema;
  anyOf?: readonly Schema[];
}

/** Every key of a fleet file, from the schema that is published for editors. */
export function fleetFileSections(root: string): string {
  const schema = JSON.parse(readFileSync(join(root, "schema", "fleet.schema.json"), "utf8")) as Schema;
  return Object.entries(schema.properties ?? {})
    .map(([key, value]) => {
      const needed = schema.required?.includes(key) === true ? "Required. " : "";
      return [`## ${key}`, `${needed}${value.description ?? ""}`, ...body(value)].join("\n\n");
    })
    .join("\n\n");
}

function body(schema: Schema): string[] {
  const member = entry(schema);
  if (member === null) return [];
  if (member.anyOf !== undefined) return patterns(member.anyOf);
  return [member.description ?? "", keys(member)].filter((text) => text !== "");
}

/** What a map holds under each name. */
function entry({ additionalProperties }: Schema): Schema | null {
  return typeof additionalProperties === "object" ? additionalProperties : null;
}

/** Workflows: the keys that all have, then those of each pattern. */
function patterns(all: readonly Schema[]): string[] {
  const [first = {}] = all;
  const shared = Object.keys(first.properties ?? {}).filter((key) => all.every(({ properties }) => properties?.[key]));
  const only = (schema: Schema, wanted: (key: string) => boolean): Schema => ({
    ...schema,
    properties: Object.fromEntries(Object.entries(schema.properties ?? {}).filter(([key]) => wanted(key))),
  });
  const common = shared.filter((key) => key !== "pattern");
  return [
    "### Every workflow",
    keys(only(first, (key) => common.includes(key))),
    ...all.flatMap((schema) => [
      `### ${(schema.title ?? "").replace(/^(\w+) workflow$/, "Pattern `$1`").replace(/^workflow/, "Workflow")}`,
      keys(only(schema, (key) => !common.includes(key))),
    ]),
  ];
}

function keys(schema: Schema): string {
  return table(["Key", "Value", "Meaning"], rows(schema, ""));
}

/** One row for each key, nested ones by their path; `NAME` stands for a name of your choice. */
function rows(schema: Schema, prefix: string): string[][] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const path = `${prefix}${key}`;
    const required = schema.required?.includes(key) === true ? "**required** " : "";
    return [[code(path), valueOf(value), `${required}${value.description ?? ""}`.trim()], ...inner(value, path)];
  });
}

function inner(schema: Schema, path: string): string[][] {
  if (isSecretOrFile(schema)) return [];
  const member = entry(schema);
  if (member?.properties !== undefined) return rows(member, `${path}.NAME.`);
  const item =
    schema.items?.properties === undefined ? schema.items?.anyOf?.find(({ properties }) => properties) : schema.items;
  if (item !== undefined) return rows(item, `${path}[].`);
  return rows(schema, `${path}.`);
}

/** `{ secret: NAME }` and `{ file: path }` are values, told in the description. */
function isSecretOrFile({ properties }: Schema): boolean {
  const names = Object.keys(properties ?? {});
  return names.length === 1 && (names[0] === "secret" || names[0] === "file");
}

function valueOf(schema: Schema): string {
  const chosen = schema.const === undefined ? schema.enum : [schema.const];
  const text = chosen === undefined ? typeOf(schema) : chosen.map(code).join(", ");
  return schema.default === undefined
    ? text
    : `${text}; default ${code(JSON.stringify(schema.default).replaceAll('"', ""))}`;
}

const WORDS: Readonly<Record<string, string>> = {
  object: "map",
  array: "list",
  string: "text",
  integer: "whole number",
};

function typeOf({ type, anyOf, items }: Schema): string {
  if (anyOf !== undefined) return [...new Set(anyOf.map(typeOf))].join(" or ");
  if (type === undefined) return "any";
  const words = [type].flat().map((one) => WORDS[one] ?? one);
  return items?.type === "string" ? "list of texts" : words.join(" or ");
}
