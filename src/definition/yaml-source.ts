import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  visit,
  type YAMLError,
} from "yaml";
import { type Finding, located } from "./finding.ts";
import { type Problem, type ProblemPlace, printable, problem } from "./problem.ts";

/** A YAML file that knows where each of its values is written. */
export interface YamlSource {
  /** The whole as plain data; undefined when it has none. */
  readonly data: unknown;
  /** What is wrong with the YAML itself, duplicate keys included. */
  readonly problems: readonly Problem[];
  /** Whether `data` can be relied on for further checks. */
  readonly readable: boolean;
  locate(finding: Pick<Finding, "path" | "part" | "within">): ProblemPlace;
  place(finding: Finding): Problem;
}

/** Reads YAML 1.2 (JSON is YAML). `file` is how problems name it. Never throws for what the text holds. */
export function yamlSource(text: string, file: string): YamlSource {
  if (isBinary(text)) return binarySource(file);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false, logLevel: "error" });
  const place = placer(text, file, lines);
  // A warning is a tag that YAML does not know: what it would make of the value is not what it is.
  const faults = [...document.errors, ...document.warnings];
  const [broken] = faults.filter(isBroken);
  // What follows the first fault of syntax is mostly its echo; keys that stand twice are mistakes of their own.
  const told = faults.filter((error) => !isBroken(error) || error === broken);
  const problems = told.map((error) => syntaxProblem(error, text, place));
  const { data, failed } = plain(document, problems, place);
  const readable = !failed && broken === undefined;
  const locate: YamlSource["locate"] = (finding) => place(...span(document, text, finding));
  return { data, problems, readable, locate, place: (finding) => located(finding, locate(finding)) };
}

/** What stands for bytes that are no UTF-8, when there is more of it than a slip of an editor leaves. */
const NO_TEXT = /\0|(?:\ufffd[^\ufffd]*){8}/;

const isBinary = (text: string): boolean => NO_TEXT.test(text);

function binarySource(file: string): YamlSource {
  const place = { file };
  const what = "this is no text: it holds bytes that no YAML file has";
  return {
    data: undefined,
    problems: [problem("DEFINITION_SYNTAX", what, { ...place, hint: "name a YAML file, saved as UTF-8" })],
    readable: false,
    locate: () => place,
    place: (finding) => located(finding, place),
  };
}

function isBroken(error: YAMLError): boolean {
  return error.code !== "DUPLICATE_KEY";
}

type Placer = (start: number, end: number) => ProblemPlace;

function placer(text: string, file: string, lines: LineCounter): Placer {
  const rows = text.split(/\r\n|\n|\r(?!\n)/);
  return (start, end) => {
    const { line, col } = lines.linePos(start);
    const excerpt = rows[line - 1] ?? "";
    const rest = excerpt.slice(col - 1).trimEnd().length;
    const length = Math.max(1, Math.min(end - start, rest));
    return { file, line, column: col, length, excerpt: printable(excerpt) };
  };
}

function syntaxProblem(error: YAMLError, text: string, place: Placer): Problem {
  const [start, end] = error.pos;
  const message = error.message.replace(/ at line \d+, column \d+:?[\s\S]*$/, "");
  if (error.code === "DUPLICATE_KEY") {
    const key = /^[^\s:,}\]]+/.exec(text.slice(start))?.[0] ?? "";
    const named = place(start, start + key.length);
    return problem("DEFINITION_DUPLICATE", `"${key}" is defined twice`, {
      ...named,
      hint: "rename or remove one of them",
    });
  }
  return problem("DEFINITION_SYNTAX", `not valid YAML: ${lowerFirst(message)}`, {
    ...place(start, end),
    hint: SYNTAX_HINTS[error.code] ?? "correct the line",
  });
}

const SYNTAX_HINTS: { readonly [code: string]: string } = {
  TAG_RESOLVE_FAILED: "remove the tag (!…)",
  TAB_AS_INDENT: "indent with spaces",
  BAD_INDENT: "line it up with its neighbours, and close every bracket and quote",
  MISSING_CHAR: "close every bracket and quote",
  MULTIPLE_DOCS: "keep one document: remove what follows the line ---",
  BAD_ALIAS: "define the anchor (&name) before it is used (*name)",
  BLOCK_AS_IMPLICIT_KEY: "put text that holds a colon in quotes",
  MULTILINE_IMPLICIT_KEY: "put each key on a line of its own",
  UNEXPECTED_TOKEN: "put text that starts with a special character in quotes",
};

function plain(document: Document, problems: Problem[], place: Placer): { data: unknown; failed: boolean } {
  try {
    return { data: document.toJS({ maxAliasCount: 100 }), failed: false };
  } catch (error) {
    const message = error instanceof Error ? lowerFirst(error.message) : String(error);
    const hint = SYNTAX_HINTS.BAD_ALIAS ?? "";
    if (problems.length === 0)
      problems.push(
        problem("DEFINITION_SYNTAX", `not valid YAML: ${message}`, { ...place(...unresolved(document)), hint }),
      );
    return { data: undefined, failed: true };
  }
}

/** The first alias without an anchor; where there is none, the first alias. */
function unresolved(document: Document): [number, number] {
  const aliases: Alias[] = [];
  visit(document, { Alias: (_, alias) => void aliases.push(alias) });
  return range(aliases.find((alias) => alias.resolve(document) === undefined) ?? aliases[0] ?? null) ?? [0, 1];
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Offsets of what a finding points at; of the nearest parent's key when that is absent. */
function span(
  document: Document,
  text: string,
  { path, part, within }: Pick<Finding, "path" | "part" | "within">,
): [number, number] {
  let node: Node | null = document.contents as Node | null;
  let key: Node | null = null;
  let found = true;
  for (const step of path) {
    const next = child(resolved(document, node), step);
    if (next === null) {
      found = false;
      break;
    }
    key = next.key ?? next.value;
    node = next.value;
  }
  const value = part === "value" && found ? node : null;
  const own = within === undefined ? null : inside(text, range(value), within);
  return own ?? oneLine(value, text) ?? range(key) ?? range(node) ?? [0, 0];
}

/** Where `within` is written in a value: quotes and indentation make it differ from the value's own offsets. */
function inside(
  text: string,
  value: [number, number] | null,
  within: { text: string; offset: number },
): [number, number] | null {
  const at = value === null ? -1 : text.indexOf(within.text, value[0]);
  if (value === null || at === -1 || at >= value[1]) return null;
  return [at + within.offset, at + within.text.length];
}

function child(node: Node | null, step: PropertyKey): { key: Node | null; value: Node | null } | null {
  if (isMap(node)) {
    // The last of two that bear one name, as in the data.
    const pair = node.items.findLast((item) => isScalar(item.key) && String(item.key.value) === String(step)) as
      | Pair<Node, Node | null>
      | undefined;
    return pair === undefined ? null : { key: pair.key, value: pair.value };
  }
  if (isSeq(node)) {
    const item = node.items[Number(step)] as Node | undefined;
    return item === undefined ? null : { key: null, value: item };
  }
  return null;
}

function resolved(document: Document, node: Node | null): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}

function range(node: Node | null): [number, number] | null {
  return node?.range ? [node.range[0], node.range[1]] : null;
}

/** The range of a value that can be underlined: scalars, and collections written on one line. */
function oneLine(node: Node | null, text: string): [number, number] | null {
  const own = range(node);
  if (own === null || own[0] === own[1]) return null;
  return isScalar(node) ||
    isAlias(node) ||
    !text
      .slice(...own)
      .trimEnd()
      .includes("\n")
    ? own
    : null;
}
