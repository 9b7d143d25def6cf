import type { Binding, Change, Edit, RunView, TaskSpec, TaskView } from "../core/planner.ts";
import type { Json } from "../core/json.ts";
import { bind, ExpressionFailure, type Bindings } from "../expression/expression.ts";
import { invariant } from "../error.ts";
import { failure, lost } from "./failure.ts";
import { bindDispute, disputeEdits, settling } from "./resolve.ts";
import type { CompiledGraph, CompiledTask, CompiledTemplate } from "./graph-compile.ts";

/** What of a run a graph looks at. */
type View = Omit<RunView, "options">;

/** All tasks at the start; afterwards nothing until the last one has settled, or one has failed that nobody watches. */
export function planGraph(graph: CompiledGraph, view: View, change: Change): readonly Edit[] {
  if (change.type === "started") {
    return [...graph.tasks.values()]
      .flatMap((task) => specsOf(task, view.input))
      .map((task) => ({ edit: "add", task }));
  }
  const { dispute } = ownerOf(graph, change.task);
  const edits = dispute === null ? [] : disputeEdits(view, dispute, change);
  if (edits.length > 0 || change.type !== "settled") return edits;
  const failed = graph.stopOnFailure ? unwatchedFailure(graph, change.task) : null;
  if (failed !== null) return [failed];
  return view.open === 0 ? [conclude(graph, view)] : [];
}

/** The input of a task whose needs are met; a task over a list becomes its members. */
export function bindGraph(graph: CompiledGraph, view: View, given: TaskView): Binding {
  const task = ownerOf(graph, given);
  const { id } = task;
  return rendering(`task ${id}`, (): Binding => {
    const settled = task.dispute === null ? null : bindDispute(view, task.dispute, given);
    if (settled !== null) return settled;
    if (task.when !== null) {
      const met = render(graph, view, task.when);
      if (typeof met !== "boolean")
        return { fail: failure("EXPRESSION_FAILED", `\`when\` of task ${id} is neither true nor false`) };
      if (!met) return { skip: "its condition is false" };
    }
    return task.forEach === null ? { input: inputOf(graph, view, task) } : membersOf(graph, view, task, task.forEach);
  });
}

/** The declared task to which one belongs: it itself, or the one whose answers it helps to settle. */
function ownerOf(graph: CompiledGraph, { id }: TaskView): CompiledTask {
  const task = graph.tasks.get(id) ?? graph.tasks.get(id.slice(0, id.indexOf("/")));
  invariant(task, `the graph has no task ${id}`);
  return task;
}

/** One task, or the answers of several and what settles them. */
function specsOf(task: CompiledTask, input: Json): TaskSpec[] {
  const { dispute, priority, why } = task;
  if (dispute === null) return [specOf(task, input)];
  const answers = dispute.sides.map((side) => specOf({ ...task, id: side.task, agent: side.agent }, input));
  const shared = { ...(priority === undefined ? {} : { priority }), ...(why === undefined ? {} : { why }) };
  return [...answers, ...settling(dispute).map((spec) => ({ ...shared, ...spec }))];
}

/** Tasks that can start at once get their input with the revision that adds them. */
function specOf({ id, agent, needs, priority, why, ...task }: CompiledTask, input: Json): TaskSpec {
  const immediate = needs.length === 0 && task.input === null && task.forEach === null && task.when === null;
  return {
    id,
    agent,
    needs,
    ...(priority === undefined ? {} : { priority }),
    ...(why === undefined ? {} : { why }),
    ...(immediate ? { input } : {}),
  };
}

function inputOf(graph: CompiledGraph, view: View, task: CompiledTask): Json {
  if (task.input !== null) return render(graph, view, task.input);
  const [only, ...more] = task.needs;
  if (only === undefined) return view.input;
  const output = (id: string): Json => view.task(id)?.output ?? null;
  return more.length === 0
    ? output(only.task)
    : Object.fromEntries(task.needs.map((need) => [need.task, output(need.task)]));
}

function membersOf(graph: CompiledGraph, view: View, task: CompiledTask, forEach: CompiledTemplate): Binding {
  const items = render(graph, view, forEach);
  if (!Array.isArray(items))
    return { fail: failure("EXPRESSION_FAILED", `\`forEach\` of task ${task.id} is not a list`) };
  const { input, agent, priority } = task;
  const shared = input === null ? {} : bindings(graph, view, input);
  const members = items.map(
    (item, index): TaskSpec => ({
      id: `${task.id}/${index}`,
      agent,
      input: input === null ? item : input.template.render({ ...shared, item: bind(item), index: BigInt(index) }),
      ...(priority === undefined ? {} : { priority }),
    }),
  );
  return { members };
}

function unwatchedFailure(graph: CompiledGraph, task: TaskView): Edit | null {
  if (task.status !== "failed" || graph.watched.has(task.group ?? task.id)) return null;
  // One of several answers that is missing is for the task that settles them.
  if (ownerOf(graph, task).dispute !== null && !graph.tasks.has(task.id)) return null;
  return lost(task);
}

/** Everything has settled. A task may have failed to get its input while the news of its needs was still on the way. */
function conclude(graph: CompiledGraph, view: View): Edit {
  let first: Edit | null = null;
  for (const task of view.tasks()) first ??= unwatchedFailure(graph, task);
  if (first !== null && graph.stopOnFailure) return first;
  const { result } = graph;
  if (result !== null) {
    const output = rendering("the result", () => ({ output: render(graph, view, result) }));
    return "fail" in output
      ? (first ?? { edit: "fail", error: output.fail })
      : { edit: "finish", output: output.output };
  }
  const outputs = graph.sinks.flatMap((id): [string, Json][] => {
    const task = view.task(id);
    return task?.status === "completed" ? [[id, task.output ?? null]] : [];
  });
  if (outputs.length === 0 && first !== null) return first;
  return { edit: "finish", output: graph.sinks.length === 1 ? (outputs[0]?.[1] ?? null) : Object.fromEntries(outputs) };
}

function render(graph: CompiledGraph, view: View, compiled: CompiledTemplate): Json {
  return compiled.template.render(bindings(graph, view, compiled));
}

/** `input`, and `tasks` by id as { status, output, error }; one that has not settled is absent. */
function bindings(graph: CompiledGraph, view: View, { readsInput, readsTasks }: CompiledTemplate): Bindings {
  const ids = readsTasks ?? [...graph.tasks.keys()];
  const tasks = ids.flatMap((id): [string, unknown][] => {
    const task = view.task(id);
    if (task === undefined || !SETTLED.has(task.status)) return [];
    const { status, output = null, error } = task;
    return [
      [
        id,
        {
          status,
          output: bind(output),
          error: error === undefined ? null : { code: error.code, message: error.message },
        },
      ],
    ];
  });
  return { input: readsInput ? bind(view.input) : null, tasks: Object.fromEntries(tasks) };
}

const SETTLED: ReadonlySet<string> = new Set(["completed", "failed", "skipped", "cancelled"]);

/** An expression that has no value fails what it was for, and names it. */
function rendering<T>(what: string, work: () => T): T | { fail: ReturnType<typeof failure> } {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof ExpressionFailure)) throw error;
    return { fail: failure("EXPRESSION_FAILED", `${what}: ${error.message}`) };
  }
}
