import { readFile } from "node:fs/promises";
import { extname, resolve } from "node:path";
import type { JsonSchema } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import { defaultInput, propertyDefaults } from "../definition/default-input.ts";
import { nearest } from "../definition/nearest.ts";
import { usageError } from "./failure.ts";

type JsonObject = { readonly [key: string]: Json };

/** Reads the content of `@file`; `-` is stdin. */
export type ReadText = (path: string) => Promise<string>;

/** The input of a run from what was typed: `name=value` (typed by the schema), one JSON document, or `@file`; later
 *  ones go over earlier ones. What is left out takes the schema's defaults. Whether the whole conforms is the engine's
 *  to say. `cwd`: what properties marked `x-path` in the schema are relative to.
 *  @throws {FlotillaError} USAGE */
export async function readInput(
  given: readonly string[],
  schema: JsonSchema | null,
  cwd: string,
  read: ReadText = readText(cwd),
): Promise<Json> {
  let input: Json | undefined;
  for (const one of given) input = merged(input, await readOne(one, schema, cwd, read));
  return withDefaults(input, schema);
}

async function readOne(given: string, schema: JsonSchema | null, cwd: string, read: ReadText): Promise<Json> {
  if (given.startsWith("@")) return parseFile(given.slice(1), await read(given.slice(1)));
  if (/^\s*[[{"]/.test(given)) return parseJson(given, "--input");
  const [, name, value] = /^([^=\s]+)=(.*)$/s.exec(given) ?? [];
  if (name !== undefined && value !== undefined && schema?.type !== "string")
    return { [name]: typed(name, value, schema, cwd) };
  if (schema === null || schema.type === "string" || schema.type === undefined) return given;
  throw usageError(`--input "${given}" is neither name=value nor JSON nor @file`, inputHint(schema));
}

function merged(before: Json | undefined, next: Json): Json {
  return isObject(before) && isObject(next) ? { ...before, ...next } : next;
}

/** A value as the schema of its property wants it: text stays text, everything else is JSON. */
function typed(name: string, value: string, schema: JsonSchema | null, cwd: string): Json {
  const property = propertyOf(name, schema);
  if (property["x-path"] === true) return resolve(cwd, value);
  const types = ([] as Json[]).concat((property.type as Json | undefined) ?? []);
  if (types.length === 0 || types.includes("string")) return value;
  return parseJson(value, `--input ${name}`);
}

function propertyOf(name: string, schema: JsonSchema | null): JsonObject {
  const properties = isObject(schema?.properties) ? schema.properties : {};
  const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
  if (isObject(property)) return property;
  const near = nearest(name, Object.keys(properties));
  // A name that nearly fits was misspelt; any other may be one that the schema leaves open.
  if (near !== null || schema?.additionalProperties === false) {
    throw usageError(
      `the input has no "${name}"`,
      `${near === null ? "" : `Did you mean "${near}"? `}${inputHint(schema)}`,
    );
  }
  return {};
}

function inputHint(schema: JsonSchema | null): string {
  const names = isObject(schema?.properties) ? Object.keys(schema.properties) : [];
  return names.length === 0
    ? "Give a JSON document or @file."
    : `It takes: ${names.map((name) => `--input ${name}=…`).join(" ")}`;
}

function withDefaults(input: Json | undefined, schema: JsonSchema | null): Json {
  if (input === undefined) return defaultInput(schema) ?? {};
  const defaults = propertyDefaults(schema);
  return isObject(input) ? { ...defaults, ...input } : input;
}

async function parseFile(path: string, text: string): Promise<Json> {
  if (![".yaml", ".yml"].includes(extname(path))) return parseJson(text, path === "-" ? "stdin" : path);
  const { parse } = await import("yaml");
  return parse(text) as Json;
}

function parseJson(text: string, where: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    throw usageError(`${where} is not valid JSON: ${(error as Error).message}`);
  }
}

const readText =
  (cwd: string): ReadText =>
  async (path) => {
    if (path === "-") return readStdin();
    return readFile(resolve(cwd, path), "utf8").catch((error: Error) => {
      throw usageError(`the input ${path} cannot be read: ${error.message}`);
    });
  };

async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
