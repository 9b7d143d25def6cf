import { posix } from "node:path";
import type { Change } from "../git/change.ts";
import { history, median, TOUCHES_MIN } from "./churn.ts";
import { exportsOf } from "./export.ts";
import type { Finding } from "./finding.ts";
import { entryOf, reachable } from "./public.ts";
import { LOOKS } from "./risk.ts";
import { isMade, isSource, isTest, masked } from "./source.ts";

export interface Verdict {
  holds: boolean;
  why: string;
}

const holds = (why: string): Verdict => ({ holds: true, why });
const struck = (why: string): Verdict => ({ holds: false, why });

/** Tries to find again what somebody claims, from the repository alone and by other means than theirs. A finding that
 *  cannot be reproduced does not hold, and the verdict says why. */
export async function reproduce(change: Change, found: Finding): Promise<Verdict> {
  if (found.kind === "risk") return risk(change, found);
  if (found.kind === "tests") return untested(change, found);
  if (found.kind === "api") return apiBreak(change, found);
  return hotSpot(change, found);
}

const PLACEHOLDER = /example|change-?me|placeholder|dummy|your[-_]|xxx|\*{3}|^<|^\$\{|process\.env/i;
const ENTROPY_MIN = 3;

async function risk(change: Change, { rule, file, line, subject }: Finding): Promise<Verdict> {
  const looks = LOOKS.find((one) => one.rule === rule)?.looks;
  if (looks === undefined || line === null) return struck("there is no such check");
  if (!isSource(file)) return struck(`${file} is not code that runs in production`);
  const text = await change.read("head", file);
  const original = text?.split("\n")[line - 1]?.replace(/\r$/, "") ?? "";
  if (text === null || original.trim().slice(0, 200) !== subject) return struck(`line ${line} does not say so at head`);
  const at = looks.exec(original);
  if (at === null) return struck(`line ${line} does not look like it`);
  const visible = masked(text, file, { strings: false }).split("\n")[line - 1] ?? "";
  if (visible.slice(at.index, at.index + 4) !== original.slice(at.index, at.index + 4))
    return struck("it is a comment");
  const code = masked(text, file, { strings: true }).split("\n")[line - 1] ?? "";
  if (rule !== "sql-injection" && code.slice(at.index, at.index + 4).trim() === "")
    return struck("it is text, not code");
  const value = at[1] ?? "";
  if (rule === "hard-coded-secret" && PLACEHOLDER.test(value)) return struck("the value is a placeholder");
  if (rule === "hard-coded-secret" && entropy(value) < ENTROPY_MIN)
    return struck(`the value is no secret: ${entropy(value).toFixed(1)} bits a character`);
  const before = await change.find("base", original.trim());
  const [known] = before.filter((one) => one.text.trim() === original.trim() && isSource(one.path));
  if (known !== undefined) return struck(`not new: ${known.path} line ${known.line} said so before`);
  return holds(`line ${line} is code, is new, and does it`);
}

function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => sum - (count / text.length) * Math.log2(count / text.length), 0);
}

async function untested(change: Change, found: Finding): Promise<Verdict> {
  const { file, subject } = found;
  const text = await change.read("head", file);
  const declared = exportsOf(text ?? "", file).find(({ name }) => name === subject);
  if (declared === undefined) return struck(`${file} exports no ${subject} at head`);
  const mentioned = await change.find("head", subject);
  const call = new RegExp(`\\b${subject}\\b\\s*\\(`);
  for (const one of mentioned.filter(({ path, text: said }) => isTest(path) && call.test(said))) {
    const test = (await change.read("head", one.path)) ?? "";
    const code = masked(test, one.path, { strings: true }).split("\n");
    if (call.test(code[one.line - 1] ?? "") && (await imports(change, one.path, test, found)))
      return struck(`${one.path} line ${one.line} calls it`);
  }
  return holds(`lines that name it: ${mentioned.length}; a call in a test: none`);
}

/** Whether a test has a name from this file, and not one of the same spelling from elsewhere: it imports the file, or
 *  the name from one that does not declare it itself, such as an index. */
async function imports(change: Change, path: string, test: string, { subject, file }: Finding): Promise<boolean> {
  const code = masked(test, path, { strings: false });
  const statements = code.match(/^\s*(?:import|from)\b(?:[^;{\n]|\{[^}]*\})*|\brequire\([^)]*\)/gm) ?? [];
  const name = new RegExp(`\\b${subject}\\b`);
  for (const statement of statements) {
    const [, quoted, dotted] = /["']([^"']+)["']|\bfrom\s+([\w.]+)/.exec(statement) ?? [];
    const module = quoted ?? dotted ?? "";
    if (stem(module) === stem(file)) return true;
    if (!name.test(statement.replace(/["'][^"']*["']/g, ""))) continue;
    const from = posix.join(posix.dirname(path), module);
    const declared = exportsOf((await change.read("head", from)) ?? "", from);
    if (!declared.some((one) => one.name === subject)) return true;
  }
  return false;
}

/** The name of a module without its folders and endings. */
const stem = (module: string): string =>
  module.split(/[/.]/).findLast((part) => !/^(?:[cm]?[jt]sx?|py|)$/.test(part)) ?? "";

async function apiBreak(change: Change, { rule, file, subject }: Finding): Promise<Verdict> {
  const before = await publicName(change, "base", file, subject);
  if (before === null) return struck("it was not public: nothing that the package exports leads to it");
  const after = await publicName(change, "head", file, subject);
  if (after === null) return holds("public at the base, and no longer to be had at head");
  if (rule === "export-removed" && after.file !== file && sameCall(before.parameters, after.parameters))
    return struck(`the package still exports it, now from ${after.file}`);
  if (before.parameters === null || after.parameters === null) return struck("it is no function");
  const [was, is] = [arity(before.parameters), arity(after.parameters)];
  if (is.required > was.required) return holds(`${is.required} arguments are required, ${was.required} were`);
  if (is.all < was.all) return holds(`${is.all} arguments are taken, ${was.all} were`);
  return struck(`calls as before still fit: ${is.required} of ${is.all} arguments required, as it was with ${was.all}`);
}

const sameCall = (was: string | null, is: string | null): boolean =>
  was === null || is === null || (arity(is).required <= arity(was).required && arity(is).all >= arity(was).all);

/** Where a name that the package exports is declared; without an entry, every exported name counts. */
async function publicName(change: Change, side: "base" | "head", file: string, name: string) {
  const entry = await entryOf(change, side);
  const files = entry === null ? [{ path: file, exports: () => true }] : await reachable(change, side, entry);
  for (const { path, exports } of files) {
    if (!exports(name)) continue;
    const found = exportsOf((await change.read(side, path)) ?? "", path).find((one) => one.name === name);
    if (found !== undefined) return { file: path, parameters: found.parameters };
  }
  return null;
}

/** Parameters, counted with their brackets. */
function arity(parameters: string): { required: number; all: number } {
  const parts: string[] = [""];
  let depth = 0;
  for (const character of parameters) {
    if ("([{<".includes(character)) depth += 1;
    if (")]}>".includes(character)) depth -= 1;
    if (character === "," && depth === 0) parts.push("");
    else parts.push(`${parts.pop() ?? ""}${depth > 0 && character === "=" ? " " : character}`);
  }
  const named = parts.map((part) => part.trim()).filter((part) => part !== "");
  return { all: named.length, required: named.filter((part) => !/=|^(?:\.\.\.|\*)|\?\s*:|^\w+\?/.test(part)).length };
}

const SWEEP_FILES_MIN = 25;
const SWEEP_TIMES = 4;
const REPAIRS_SHARE_MIN = 0.25;
const REPAIR = /\b(?:fix(?:es|ed)?|bug|revert|hotfix|repair|regression|wrong|broken)\b/i;

async function hotSpot(change: Change, { file }: Finding): Promise<Verdict> {
  if (isMade(file)) return struck("it is made by a tool");
  const text = (await change.read("head", file)) ?? "";
  if (/(?:generated|do not edit)/i.test(text.split("\n").slice(0, 5).join("\n"))) return struck("it is made by a tool");
  const real = await history(change, ["--no-merges", "-w", "--ignore-blank-lines"]);
  const usual = median(real.map(({ files }) => files.length));
  const sweep = Math.max(SWEEP_FILES_MIN, SWEEP_TIMES * usual);
  const touches = real.filter(({ files }) => files.includes(file) && files.length < sweep);
  if (touches.length < TOUCHES_MIN)
    return struck(`${touches.length} commits really changed it; the others moved white space or swept over everything`);
  const repairs = touches.filter(({ subject }) => REPAIR.test(subject)).length;
  const share = Math.round((repairs / touches.length) * 100);
  if (repairs < touches.length * REPAIRS_SHARE_MIN) return struck(`it grows: ${share} % of its changes are repairs`);
  return holds(`${touches.length} commits really changed it, ${repairs} of them to repair it (${share} %)`);
}
