import { PRIORITY, type Priority } from "../core/definition.ts";
import type { Need } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import { type Compiled, type Expression, type Language, language, type Template } from "../expression/expression.ts";
import { splitText } from "../expression/split.ts";
import type { GraphOptions, GraphTask } from "./graph-option.ts";
import { type Seat, seatIds } from "./option.ts";
import type { Dispute } from "./resolve.ts";

/** A graph's options, made ready once. */
export interface CompiledGraph {
  tasks: ReadonlyMap<string, CompiledTask>;
  result: CompiledTemplate | null;
  /** Tasks that no other needs. */
  sinks: readonly string[];
  /** Tasks whose failure another task asks for: they do not end the run. */
  watched: ReadonlySet<string>;
  stopOnFailure: boolean;
  problems: readonly { path: string[]; message: string }[];
}

export interface CompiledTask {
  id: string;
  /** Empty when several are asked. */
  agent: string;
  dispute: Dispute | null;
  /** As declared, and those that expressions read. */
  needs: readonly Need[];
  priority: Priority | undefined;
  why: string | undefined;
  input: CompiledTemplate | null;
  forEach: CompiledTemplate | null;
  when: CompiledTemplate | null;
}

/** A template and what it speaks of, so that only that is made ready for it. */
export interface CompiledTemplate {
  template: Template;
  readsInput: boolean;
  /** Null: only the values decide. */
  readsTasks: readonly string[] | null;
}

const inTask = language(["input", "tasks"]);
const inMember = language(["input", "tasks", "item", "index"]);

const sideOf = (side: string | Seat): Seat => (typeof side === "string" ? { agent: side } : side);

type Parts = Pick<GraphOptions, "tasks" | "result" | "onFailure">;

const compiled = new WeakMap<Parts, CompiledGraph>();

/** The graph of these options; the same object for the same options, so that expressions are parsed once. */
export function compiledGraph(options: Parts): CompiledGraph {
  const known = compiled.get(options) ?? compileGraph(options);
  compiled.set(options, known);
  return known;
}

export function compileGraph({ tasks, result, onFailure }: Parts): CompiledGraph {
  const problems: { path: string[]; message: string }[] = [];
  const take = <T>(path: string[], part: Compiled<T>): T | null => {
    if (part.ok) return part.value;
    problems.push({ path, message: part.problem });
    return null;
  };
  const list = Object.entries(tasks).map(([id, task]) => {
    const at = (key: keyof GraphTask) => ["tasks", id, key];
    const { input, forEach, when } = task;
    const inside = forEach === undefined ? inTask : inMember;
    return compileTask(id, task, {
      input: input === undefined ? null : take(at("input"), compileTemplate(inside, input)),
      forEach: forEach === undefined ? null : take(at("forEach"), compileValue(inTask, forEach)),
      when: when === undefined ? null : take(at("when"), compileValue(inTask, when)),
    });
  });
  const needs = list.flatMap((task) => task.needs);
  const needed = new Set(needs.map((need) => need.task));
  return {
    tasks: new Map(list.map((task) => [task.id, task])),
    result: result === undefined ? null : take(["result"], compileTemplate(inTask, result)),
    sinks: list.map((task) => task.id).filter((id) => !needed.has(id)),
    watched: new Set(needs.filter((need) => need.on !== "completed").map((need) => need.task)),
    stopOnFailure: onFailure === "stop",
    problems,
  };
}

function compileTask(
  id: string,
  { agent = "", agents = [], resolve, needs = [], priority, why }: GraphTask,
  templates: Pick<CompiledTask, "input" | "forEach" | "when">,
): CompiledTask {
  const declared = (Array.isArray(needs) ? needs : [needs]).map((need): Need => {
    return typeof need === "string" ? { task: need, on: "completed" } : need;
  });
  const ids = seatIds(agents.map(sideOf));
  const sides = agents.map((side, place) => {
    return { id: ids[place] ?? "", agent: sideOf(side).agent, task: `${id}/answer/${ids[place]}` };
  });
  return {
    id,
    agent,
    dispute: resolve === undefined ? null : { id, policy: resolve, sides },
    needs: withInferred(declared, Object.values(templates)),
    priority: priority === undefined ? undefined : PRIORITY[priority],
    why,
    ...templates,
  };
}

/** Adds the tasks that expressions read. One whose status or error is read may end in any way. */
function withInferred(declared: readonly Need[], templates: readonly (CompiledTemplate | null)[]): Need[] {
  const needs = new Map(declared.map((need) => [need.task, need]));
  const reads = templates.flatMap((one) => one?.template.reads("tasks") ?? []);
  const named = new Set(needs.keys());
  for (const { member, field } of reads) {
    if (member === null || named.has(member)) continue;
    const settled = field === "status" || field === "error" || needs.get(member)?.on === "settled";
    needs.set(member, { task: member, on: settled ? "settled" : "completed" });
  }
  return [...needs.values()];
}

function compileTemplate(language: Language, value: Json): Compiled<CompiledTemplate> {
  const part = language.template(value);
  return part.ok ? { ok: true, value: withReads(part.value) } : part;
}

/** A value that is an expression when it is text: its `${ }` may be left out. */
function compileValue(language: Language, value: Json): Compiled<CompiledTemplate> {
  if (typeof value !== "string") return compileTemplate(language, value);
  const split = splitText(value);
  if (!split.ok) return split;
  const [only, ...more] = split.value;
  if (typeof only !== "string" && only !== undefined && more.length === 0) return compileTemplate(language, value);
  const part = language.expression(value);
  return part.ok ? { ok: true, value: withReads(asTemplate(part.value)) } : part;
}

function asTemplate(expression: Expression): Template {
  return { render: expression.evaluate, reads: expression.reads };
}

function withReads(template: Template): CompiledTemplate {
  const members = template.reads("tasks").map((read) => read.member);
  return {
    template,
    readsInput: template.reads("input").length > 0,
    readsTasks: members.includes(null) ? null : [...new Set(members.filter((member) => member !== null))],
  };
}
