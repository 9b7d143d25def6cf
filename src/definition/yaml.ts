import { workflowSeat } from "../core/seat.ts";
import type { FleetDefinition, ModuleRef } from "../core/definition.ts";
import type { Json } from "../core/json.ts";
import type { Pattern } from "../pattern/pattern.ts";
import { Script } from "../model/script.ts";
import type { Descriptions, ExportDescription, ModuleReader, OptionsQuestion } from "./module-reader.ts";
import { readNamedFile, similar } from "./file.ts";
import { type Finding, missingReference, type Path, pathText, withoutEchoes } from "./finding.ts";
import { checkJsonSchema } from "./json-schema.ts";
import { moduleKey, moduleRef } from "./module.ts";
import { nearest } from "./nearest.ts";
import { checkPatternOptions, type CheckedOptions } from "./pattern-option.ts";
import { type Problem, problem } from "./problem.ts";
import { ModulePath } from "./shape.ts";
import { buildFleet, type WorkflowOptions } from "./yaml-build.ts";
import { checkMeaning, fileOf } from "./yaml-check.ts";
import { lostNames } from "./lost-name.ts";
import { FleetShape, WORKFLOW_KEYS } from "./yaml-shape.ts";
import { yamlSource, type YamlSource } from "./yaml-source.ts";
import { list } from "./name-list.ts";
import { describe as inWords, isRecord, zodFindings } from "./zod-problem.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface YamlOptions {
  /** How problems name the file. */
  file: string;
  /** What paths in it are relative to. */
  folder: string;
  /** The built-in patterns, by name. */
  patterns: ReadonlyMap<string, Pattern>;
  /** Learns what local modules declare; asked only when the YAML names some. */
  modules: ModuleReader;
}

export type YamlResult =
  | { ok: true; definition: Omit<FleetDefinition, "modules"> }
  | { ok: false; problems: readonly [Problem, ...Problem[]] };

/** Reads the YAML form of a fleet. Reports every independent mistake at once, in the order of the file; throws none. */
export async function readFleetYaml(text: string, options: YamlOptions): Promise<YamlResult> {
  const source = yamlSource(text, options.file);
  if (!source.readable) return failed(source.problems);
  if (!isRecord(source.data)) return failed([emptyProblem(source, text)]);
  const raw = source.data;
  const parsed = FleetShape.safeParse(raw);
  const form = parsed.success ? [] : zodFindings(parsed.error.issues, { schema: FleetShape, input: raw });
  const [files, modules] = await Promise.all([readFiles(raw, options), readModules(raw, options)]);
  const workflows = await readWorkflows(raw, modules.descriptions, options);
  const findings = withoutEchoes([
    ...form,
    ...lostNames(raw),
    ...checkMeaning(raw),
    ...files.findings,
    ...modules.findings,
    ...workflows.findings,
  ]);
  const isSound = findings.length + files.problems.length + modules.problems.length === 0;
  const build = parsed.success && isSound ? buildFleet(parsed.data, { ...files, ...modules, ...workflows }) : null;
  const problems = [
    ...source.problems,
    ...inOrder([...once(findings), ...(build?.findings ?? [])].map((finding) => source.place(finding))),
    ...files.problems,
    ...modules.problems,
  ];
  if (build === null || problems.length > 0) return failed(problems);
  return { ok: true, definition: build.definition };
}

function failed(problems: readonly Problem[]): YamlResult {
  return { ok: false, problems: problems as [Problem, ...Problem[]] };
}

function emptyProblem(source: YamlSource, text: string): Problem {
  const what =
    source.data === null || source.data === undefined
      ? "is empty"
      : `must be a map of keys, not ${inWords(source.data)}`;
  const place =
    text.trim() === ""
      ? { file: source.locate({ path: [], part: "value" }).file ?? "" }
      : source.locate({ path: [], part: "value" });
  return problem("DEFINITION_INVALID", `the definition ${what}`, {
    ...place,
    hint: "start with name, agents and workflows, or with: flotilla init demo",
  });
}

/** Two checks may find one mistake; the first speaks. Expressions are checked by their syntax and by most patterns,
 *  which name the template that holds one. */
function once(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ code, path, part, within, missing }) => {
    const place = code === "DEFINITION_EXPRESSION" ? path.slice(0, TASK_DEPTH) : path;
    const key = `${code} ${part} ${pathText(place)} ${within?.text ?? ""} ${missing?.join() ?? ""}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

/** Of `workflows.NAME.tasks.ID`. */
const TASK_DEPTH = 4;

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
}

/** Files that the definition names. */
interface Files {
  /** What was read, by the path of `{ file }` in the definition. */
  contents: ReadonlyMap<string, Json>;
  /** In the definition itself. */
  findings: readonly Finding[];
  /** In the files. */
  problems: readonly Problem[];
}

type FileKind = "text" | "schema" | "script";

async function readFiles(raw: Fields, { folder }: YamlOptions): Promise<Files> {
  const contents = new Map<string, Json>();
  const [findings, problems]: [Finding[], Problem[]] = [[], []];
  const inline = scriptsOf(raw).flatMap(({ path, value }) => (fileOf(value) === null ? checkScript(value, path) : []));
  for (const { path, file, kind } of namedFiles(raw)) {
    const read = await readNamedFile(folder, file, [...path, "file"]);
    if (!read.ok) {
      findings.push(read.finding);
      continue;
    }
    const parsed = parseFile(read.text, file, kind);
    problems.push(...parsed.problems);
    contents.set(pathText(path), parsed.content);
  }
  return { contents, findings: [...inline, ...findings], problems };
}

function namedFiles(raw: Fields): { path: Path; file: string; kind: FileKind }[] {
  const places: { path: Path; value: unknown; kind: FileKind }[] = [
    ...fieldsOf(raw, "agents", "instructions").map((place) => ({ ...place, kind: "text" as const })),
    ...["tools", "agents", "workflows"]
      .flatMap((section) => [...fieldsOf(raw, section, "input"), ...fieldsOf(raw, section, "output")])
      .map((place) => ({ ...place, kind: "schema" as const })),
    ...scriptsOf(raw).map((place) => ({ ...place, kind: "script" as const })),
  ];
  return places.flatMap(({ path, value, kind }) => {
    const file = fileOf(value);
    return file === null ? [] : [{ path, file, kind }];
  });
}

function scriptsOf(raw: Fields): { path: Path; value: unknown }[] {
  return fieldsOf(raw, "providers", "script");
}

/** A field of every entry of a section, where it is given. */
function fieldsOf(raw: Fields, section: string, field: string): { path: Path; value: unknown }[] {
  const entries = raw[section];
  if (!isRecord(entries)) return [];
  return Object.entries(entries).flatMap(([name, entry]) =>
    isRecord(entry) && entry[field] !== undefined ? [{ path: [section, name, field], value: entry[field] }] : [],
  );
}

function parseFile(text: string, file: string, kind: FileKind): { content: Json; problems: readonly Problem[] } {
  if (kind === "text") return { content: text, problems: [] };
  const source = yamlSource(text, file);
  if (source.problems.length > 0) return { content: null, problems: source.problems };
  const findings = kind === "schema" ? checkJsonSchema(source.data, []) : checkScript(source.data, []);
  return { content: source.data as Json, problems: inOrder(findings.map((finding) => source.place(finding))) };
}

function checkScript(value: unknown, base: Path): Finding[] {
  const parsed = Script.safeParse(value);
  return parsed.success ? [] : zodFindings(parsed.error.issues, { schema: Script, input: value, base });
}

/** Modules that the definition names. */
interface Modules {
  descriptions: Descriptions;
  findings: readonly Finding[];
  /** In the modules. */
  problems: readonly Problem[];
}

async function readModules(raw: Fields, { folder, modules }: YamlOptions): Promise<Modules> {
  const named = namedModules(raw);
  const descriptions = new Map<string, ExportDescription>();
  for (const { ref } of named) {
    const key = moduleKey(ref);
    if (!descriptions.has(key)) descriptions.set(key, await modules.describe(ref));
  }
  const findings = named.flatMap(({ path, ref, wanted }) => checkExport(folder, path, ref, wanted, descriptions));
  const broken = new Map<string, readonly Problem[]>();
  for (const { ref } of named) {
    const description = descriptions.get(moduleKey(ref));
    if (description?.kind === "failed") broken.set(ref.module, description.problems);
  }
  return { descriptions, findings, problems: [...broken.values()].flat() };
}

type Wanted = "tool" | "agent" | "pattern";

function namedModules(raw: Fields): { path: Path; ref: ModuleRef; wanted: Wanted }[] {
  const patterns = fieldsOf(raw, "workflows", "pattern").flatMap(({ path, value }) =>
    isRecord(value) ? [{ path: [...path, "module"], value: value.module, wanted: "pattern" as const }] : [],
  );
  return [
    ...fieldsOf(raw, "tools", "module").map((place) => ({ ...place, wanted: "tool" as const })),
    ...fieldsOf(raw, "agents", "module").map((place) => ({ ...place, wanted: "agent" as const })),
    ...patterns,
  ].flatMap(({ path, value, wanted }) => {
    const text = ModulePath.safeParse(value);
    return text.success ? [{ path, ref: moduleRef(text.data), wanted }] : [];
  });
}

function checkExport(
  folder: string,
  path: Path,
  ref: ModuleRef,
  wanted: Wanted,
  descriptions: Descriptions,
): Finding[] {
  const description = descriptions.get(moduleKey(ref));
  if (description === undefined) return [];
  switch (description.kind) {
    case "failed":
      return description.problems.length === 0 ? [missingModule(folder, path, ref)] : [];
    case "missing":
      return [missingExport(path, ref, description.exports)];
    case "function":
      return wanted === "pattern" ? [wrongExport(path, ref, wanted, "a function")] : [];
    case "other":
      return [wrongExport(path, ref, wanted, description.what)];
    default:
      return description.kind === wanted ? [] : [wrongExport(path, ref, wanted, `a ${description.kind}`)];
  }
}

function missingModule(folder: string, path: Path, ref: ModuleRef): Finding {
  const found = similar(folder, ref.module);
  return {
    code: "DEFINITION_FILE",
    message: `module "${ref.module}" cannot be read: there is no such file`,
    path,
    part: "value",
    ...(found === null ? {} : { suggestion: exportText(found, ref.export) }),
  };
}

function missingExport(path: Path, ref: ModuleRef, exports: readonly string[]): Finding {
  const found = nearest(ref.export, exports);
  return {
    code: "DEFINITION_REFERENCE",
    message: `module "${ref.module}" does not export "${ref.export}"`,
    path,
    part: "value",
    ...(found === null ? {} : { suggestion: exportText(ref.module, found) }),
    notes: [`exports: ${list(exports)}`],
    hint: `name one of its exports, such as ${exportText(ref.module, found ?? exports[0] ?? "NAME")}`,
  };
}

function exportText(module: string, name: string): string {
  return name === "default" ? module : `${module}#${name}`;
}

const EXPECTED: { readonly [wanted in Wanted]: string } = {
  tool: "a function or the result of tool()",
  agent: "a function or the result of agent()",
  pattern: "a pattern, made by definePattern()",
};

function wrongExport(path: Path, ref: ModuleRef, wanted: Wanted, what: string): Finding {
  const message = `export "${ref.export}" of "${ref.module}" is ${what}, and must be ${EXPECTED[wanted]}`;
  return { code: "DEFINITION_INVALID", message, path, part: "value", hint: "name another export, or change it" };
}

interface Workflows {
  /** By workflow. */
  options: ReadonlyMap<string, WorkflowOptions>;
  findings: readonly Finding[];
}

async function readWorkflows(raw: Fields, descriptions: Descriptions, options: YamlOptions): Promise<Workflows> {
  const checked = new Map<string, WorkflowOptions>();
  const modules = new Map<string, string>();
  const findings: Finding[] = [];
  const namesIn = (section: unknown) => (isRecord(section) ? Object.keys(section) : []);
  const agents = [...namesIn(raw.agents), ...namesIn(raw.routes), ...namesIn(raw.workflows).map(workflowSeat)];
  for (const { path, value } of fieldsOf(raw, "workflows", "pattern")) {
    const workflow = String(path[1]);
    const found = findPattern(value, workflow, path, descriptions, options);
    if (found === null) continue;
    if ("code" in found) {
      findings.push(found);
      continue;
    }
    const key = found.module === null ? "" : moduleKey(found.module);
    if ((modules.get(found.name) ?? key) !== key) findings.push(sameName(found.name, path));
    modules.set(found.name, key);
    const own = ownOptions(isRecord(raw.workflows) ? raw.workflows[workflow] : undefined);
    const result = await checkOptions(found, { workflow, options: own, agents, alsoKnown: WORKFLOW_KEYS }, options);
    findings.push(...result.findings);
    checked.set(workflow, { ...result, pattern: found.name, module: found.module });
  }
  return { options: checked, findings };
}

function ownOptions(workflow: unknown): Json {
  const entries = isRecord(workflow) ? Object.entries(workflow) : [];
  return Object.fromEntries(entries.filter(([key]) => !WORKFLOW_KEYS.includes(key))) as Json;
}

type FoundPattern = { name: string } & ({ module: null; pattern: Pattern } | { module: ModuleRef });

function checkOptions(
  found: FoundPattern,
  question: OptionsQuestion,
  { modules }: YamlOptions,
): Promise<CheckedOptions> {
  if (found.module !== null) return modules.checkOptions(found.module, question);
  const { workflow, options, agents, alsoKnown } = question;
  return Promise.resolve(checkPatternOptions(workflow, found.pattern, options, new Set(agents), { alsoKnown }));
}

/** The pattern that `pattern:` means; null when what is wrong with it is told of elsewhere. */
function findPattern(
  value: unknown,
  workflow: string,
  path: Path,
  descriptions: Descriptions,
  { patterns }: YamlOptions,
): FoundPattern | Finding | null {
  if (typeof value === "string") {
    const pattern = patterns.get(value);
    if (pattern !== undefined) return { name: value, pattern, module: null };
    return { ...missingReference(`workflow "${workflow}"`, "pattern", value, patterns.keys()), path, part: "value" };
  }
  const text = ModulePath.safeParse(isRecord(value) ? value.module : undefined);
  if (!text.success) return null;
  const module = moduleRef(text.data);
  const description = descriptions.get(moduleKey(module));
  if (description?.kind !== "pattern") return null;
  return patterns.has(description.name) ? sameName(description.name, path) : { name: description.name, module };
}

function sameName(name: string, path: Path): Finding {
  const message = `two patterns are called "${name}"`;
  return { code: "DEFINITION_DUPLICATE", message, path, part: "value", hint: "give your own pattern another name" };
}
