import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { z } from "zod";
import type { Json } from "../core/json.ts";
import { type Problem, problem, refuse } from "../definition/problem.ts";
import { type YamlSource, yamlSource } from "../definition/yaml-source.ts";
import { zodFindings } from "../definition/zod-problem.ts";
import { FlotillaError } from "../error.ts";

const toolCall = z.strictObject({
  tool: z.string(),
  agent: z.string().optional(),
  /** Compared as a part of what the tool was given. */
  input: z.json().optional(),
});

const ExpectShape = z.strictObject({
  status: z.enum(["completed", "failed", "stopped"]).optional(),
  /** Compared as a part: keys that are not named may be there. */
  output: z.json().optional(),
  error: z.strictObject({ code: z.string().optional(), message: z.string().optional() }).optional(),
  /** Calls that must come, in this order; others may come in between. */
  tools: z.array(toolCall).optional(),
  /** Tools that must not be called. */
  toolsNever: z.array(z.string()).optional(),
  /** CEL over `status`, `output`, `input`, `error`, `tools`, `tasks`, `usage`; each must be true. */
  assert: z.array(z.string()).optional(),
});

const fileRef = z.strictObject({ file: z.string() });

const CaseShape = z.strictObject({
  name: z.string().min(1),
  workflow: z.string().optional().describe("Default: the fleet's first."),
  input: z.json().optional().describe("Default: what the workflow's schema offers."),
  script: z
    .union([fileRef, z.record(z.string(), z.json())])
    .optional()
    .describe("Rules of the scripted model, or { file }."),
  recorded: z
    .strictObject({ file: z.string(), run: z.string().optional() })
    .optional()
    .describe("A recording; `run` is what --update makes it from."),
  stubs: z.record(z.string(), z.json()).optional().describe("What tools return instead of being called."),
  secrets: z.record(z.string(), z.string()).optional(),
  timeoutMs: z.number().int().min(1).optional(),
  expect: ExpectShape.optional(),
});

export const CaseFileShape = z.strictObject({
  fleet: z.string().optional().describe("The definition, relative to this file. Default: the one beside it."),
  cases: z.array(CaseShape).min(1),
});

export type TestCase = z.infer<typeof CaseShape>;
export type Expectation = z.infer<typeof ExpectShape>;

/** Cases as read from their file. */
export interface CaseFile {
  path: string;
  folder: string;
  /** The definition that the file names; null for the one that lies beside it. */
  fleet: string | null;
  cases: readonly TestCase[];
  source: YamlSource;
  text: string;
}

/** Reads a file of test cases. @throws {FlotillaError} DEFINITION_*: all mistakes with their places in
 *  `details.problems`; DEFINITION_FILE when it cannot be read */
export async function readCaseFile(path: string): Promise<CaseFile> {
  const name = basename(path);
  const text = await readFile(path, "utf8").catch((error: Error) => {
    throw new FlotillaError("DEFINITION_FILE", `${path} cannot be read: ${error.message}`, { cause: error });
  });
  const source = yamlSource(text, name);
  refuse(source.problems);
  const parsed = CaseFileShape.safeParse(source.data);
  if (!parsed.success)
    refuse(
      inOrder(
        zodFindings(parsed.error.issues, { schema: CaseFileShape, input: source.data }).map((finding) =>
          source.place(finding),
        ),
      ),
    );
  const { fleet = null, cases } = parsed.data as z.infer<typeof CaseFileShape>;
  refuse(
    twice(cases).map((one) =>
      problem("DEFINITION_DUPLICATE", `two cases are called "${one}"`, { file: name, hint: "rename one of them" }),
    ),
  );
  return {
    path,
    folder: dirname(path),
    fleet: fleet === null ? null : resolve(dirname(path), fleet),
    cases,
    source,
    text,
  };
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
}

function twice(cases: readonly TestCase[]): string[] {
  const names = cases.map(({ name }) => name);
  return [...new Set(names.filter((name, index) => names.indexOf(name) !== index))];
}

/** The script of a case, from its file if it names one. @throws {FlotillaError} DEFINITION_FILE */
export async function scriptOf({ script }: TestCase, folder: string): Promise<Json | undefined> {
  if (script === undefined || !("file" in script) || typeof script.file !== "string") return script as Json | undefined;
  const file = resolve(folder, script.file);
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new FlotillaError("DEFINITION_FILE", `the script ${script.file as string} cannot be read: ${error.message}`, {
      cause: error,
    });
  });
  const source = yamlSource(text, basename(file));
  refuse(source.problems);
  return source.data as Json;
}
