import { PRIORITY } from "../core/definition.ts";
import type { Candidate } from "../core/event.ts";
import type { Json } from "../core/json.ts";
import type { Edit, TaskView } from "../core/planner.ts";
import { bind, isTrue } from "../expression/expression.ts";
import { failure } from "./failure.ts";
import type { PatternView } from "./pattern.ts";
import { type Item, outputSchema, readItems } from "./swarm-item.ts";
import { compiledSwarm, type SwarmMember, type SwarmOptions } from "./swarm-option.ts";

type View = PatternView<SwarmOptions>;

/** The first items, or the end of a run that has none. */
export function opening(view: View): Edit[] {
  const posted = post(view, firstItems(view), null);
  return posted.length > 0 ? posted : [conclude(view, "quiescence")];
}

/** The work that a finished item adds to the board. */
export function postedBy(view: View, task: TaskView): Edit[] {
  const added = addedBy(view, task);
  return added === null ? [] : post(view, added, task);
}

/** Open tasks of an agent, with those that it is about to be given. */
type Claims = (agent: string) => number;

/** Gives an open item to one of those who take it: to the one with the fewest open claims, the first of equals. An item
 *  that nobody takes leaves the board at once; one whose takers are busy stays. */
export function claim(view: View, item: TaskView, claims: Claims = (agent) => view.load(agent)): Edit[] {
  const takers = takersOf(view, item);
  if (takers.length === 0) return [{ edit: "cancel", task: item.id, why: "nobody in the swarm takes it" }];
  const free = takers.filter((taker) => claims(taker.agent) < taker.claimsMax);
  const [first, ...others] = free;
  if (first === undefined) return [];
  const { agent, adds } = others.reduce((best, one) => (claims(one.agent) < claims(best.agent) ? one : best), first);
  const candidates = takers.map((taker) => candidateOf(taker, claims(taker.agent)));
  const output = adds.length === 0 ? {} : { output: outputSchema(view.options, adds) };
  return [{ edit: "route", task: item.id, agent, why: "it claims it from the board", candidates, ...output }];
}

/** Claims for whoever has a hand free: the most urgent items first, then the oldest. */
export function claimNext(view: View): Edit[] {
  const made = new Map<string, number>();
  const claims: Claims = (agent) => view.load(agent) + (made.get(agent) ?? 0);
  const edits: Edit[] = [];
  for (const item of [...view.awaiting()].sort((a, b) => a.priority - b.priority)) {
    if (!view.options.members.some((member) => claims(member.agent) < member.claimsMax)) break;
    const claimed = claim(view, item, claims);
    for (const edit of claimed) if (edit.edit === "route") made.set(edit.agent, (made.get(edit.agent) ?? 0) + 1);
    edits.push(...claimed);
  }
  return edits;
}

/** The end of a run whose goal is met by the item that was just done; null while it is not. */
export function atGoal(view: View, task: TaskView): Edit | null {
  const { goal } = compiledSwarm(view.options);
  if (goal === null || task.status !== "completed") return null;
  const done = goal.reads("done").length > 0 ? doneSoFar(view) : [];
  const values = { input: bind(view.input), last: bind(doneOf(view, task)), done: bind(done) };
  return isTrue(goal, values) ? conclude(view, "goal") : null;
}

/** Ends the run with its board. */
export function conclude(view: View, ended: "quiescence" | "goal"): Edit {
  const report = reportOf(view, ended);
  const { result } = compiledSwarm(view.options);
  if (result === null) return { edit: "finish", output: report };
  return { edit: "finish", output: result.render({ input: bind(view.input), board: bind(report) }) };
}

/** Why a run ends in which nobody took an item, where that is no matter for a report. */
export function unclaimed(task: TaskView): Edit {
  const { type, content } = itemOf(task);
  const message = `nobody in the swarm takes ${task.id}, of type "${type}"`;
  return { edit: "fail", error: failure("ITEM_UNCLAIMED", message, { type, content }), task: task.id };
}

function post(view: View, given: Json, from: TaskView | null): Edit[] {
  const read = readItems(view.options, given);
  if ("problems" in read) {
    const whose = from === null ? "the board" : `what ${from.id} adds`;
    const error = failure("OUTPUT_INVALID", `${whose} cannot be used: ${read.problems.join("; ")}`, read);
    return [{ edit: "fail", error, ...(from === null ? {} : { task: from.id }) }];
  }
  const room = Math.max(0, view.options.itemsMax - view.size);
  return freshItems(view, read.items)
    .slice(0, room)
    .map((item, index) => posted(view, item, view.size + index + 1, from));
}

function posted(view: View, item: Item, number: number, from: TaskView | null): Edit {
  const { type, content, key, priority } = item;
  const named = { type, content, ...(key === undefined ? {} : { key }) };
  const origin: Record<string, Json> = from === null ? {} : { from: { item: from.id, by: from.agent } };
  return {
    edit: "add",
    task: {
      id: idOf(item) ?? `${type}/${number}`,
      agent: null,
      input: { request: view.input, item: named, ...origin },
      ...(priority === undefined ? {} : { priority: PRIORITY[priority] }),
      why: from === null ? "on the board from the start" : `added by ${from.id}`,
    },
  };
}

/** Without work that was posted under its key before. */
function freshItems(view: View, items: readonly Item[]): Item[] {
  const seen = new Set<string>();
  return items.filter((item) => {
    const id = idOf(item);
    if (id === null) return true;
    const isNew = view.task(id) === undefined && !seen.has(id);
    seen.add(id);
    return isNew;
  });
}

/** Keys begin with a letter, so that they never meet a number. */
const idOf = ({ type, key }: Item): string | null => (key === undefined ? null : `${type}/${key}`);

function candidateOf({ agent, claimsMax }: SwarmMember, load: number): Candidate {
  return load < claimsMax
    ? { agent, fits: true, load }
    : { agent, fits: false, load, why: `holds ${load} of ${claimsMax}` };
}

const takers = new WeakMap<object, readonly SwarmMember[]>();

/** Members who take an item: nothing on which that rests ever changes, so it is found out once. */
function takersOf(view: View, task: TaskView): readonly SwarmMember[] {
  const given = task.input as { item: Json };
  const known = takers.get(given);
  if (known !== undefined) return known;
  const { takes } = compiledSwarm(view.options);
  const values = { input: bind(view.input), item: bind(given.item) };
  const found = view.options.members.filter((_, index) => isTrue(takes[index], values));
  takers.set(given, found);
  return found;
}

type Report = {
  /** `limit`: nothing is open any more, and items were not posted since there were `itemsMax`. */
  ended: "quiescence" | "goal" | "limit";
  done: { id: string; type: string; content: Json; by: string | null; result: Json }[];
  failed: { id: string; type: string; content: Json; by: string | null; error: { code: string; message: string } }[];
  /** What nobody took. */
  unclaimed: { id: string; type: string; content: Json }[];
  /** How many items were not posted. */
  dropped: number;
  /** How many items were open when the goal was met. */
  open: number;
};

function reportOf(view: View, ended: "quiescence" | "goal"): Report {
  const report: Report = { ended, done: [], failed: [], unclaimed: [], dropped: 0, open: 0 };
  const wanted = new Wanted();
  wanted.add(view, firstItems(view));
  for (const task of view.tasks()) {
    if (task.status === "completed") {
      report.done.push(doneOf(view, task));
      wanted.add(view, addedBy(view, task) ?? []);
    } else if (task.status === "failed") {
      const { code, message } = task.error ?? failure("AGENT_FAILED", `${task.id} failed`);
      report.failed.push({ ...itemOf(task), by: task.agent, error: { code, message } });
    } else if (task.status === "cancelled") report.unclaimed.push(itemOf(task));
    else report.open += 1;
  }
  // What the item that met the goal names was not asked for any more.
  if (ended === "goal") return report;
  report.dropped = Math.max(0, wanted.count - view.size);
  return report.dropped > 0 ? { ...report, ended: "limit" } : report;
}

/** Counts items, those of one key once. */
class Wanted {
  readonly #keyed = new Set<string>();
  #others = 0;

  add(view: View, given: Json): void {
    const read = readItems(view.options, given);
    for (const item of "items" in read ? read.items : []) {
      const id = idOf(item);
      if (id === null) this.#others += 1;
      else this.#keyed.add(id);
    }
  }

  get count(): number {
    return this.#keyed.size + this.#others;
  }
}

function firstItems(view: View): Json {
  return compiledSwarm(view.options).board?.render({ input: bind(view.input) }) ?? null;
}

/** What a finished item's output names, if its agent may add to the board at all. */
function addedBy(view: View, { agent, status, output }: TaskView): Json | null {
  if (status !== "completed" || !mayAdd(view, agent)) return null;
  return (output as { more?: Json }).more ?? null;
}

function resultOf(view: View, { agent, output = null }: TaskView): Json {
  return mayAdd(view, agent) ? (output as { result: Json }).result : output;
}

function mayAdd(view: View, agent: string | null): boolean {
  return view.options.members.some((member) => member.agent === agent && member.adds.length > 0);
}

function doneSoFar(view: View): Json {
  return [...view.tasks()].filter(({ status }) => status === "completed").map((task): Json => doneOf(view, task));
}

function doneOf(view: View, task: TaskView) {
  return { ...itemOf(task), by: task.agent, result: resultOf(view, task) };
}

function itemOf({ id, input }: TaskView) {
  const { item } = input as unknown as { item: Item };
  return { id, type: item.type, content: item.content };
}
