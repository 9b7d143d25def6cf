import type { z } from "zod";
import type { Binding, Change, Edit, Planner, RunView, TaskView } from "../core/planner.ts";

/** A run as a pattern sees it: the planner's view, with `options` as the pattern's own schema parsed them. */
export interface PatternView<Options> extends Omit<RunView, "options"> {
  readonly options: Options;
}

/** What an author writes. Every function is pure: no clock, no randomness, no state between calls; all that a pattern
 *  knows is the view. It is asked after each settled task, so it answers from what changed and never walks the run. */
export interface PatternDefinition<Options, Given> {
  /** Unique; what `pattern:` says in YAML. */
  name: string;
  /** The workflow's keys beside those that every workflow has. What it parses to must be JSON, and parse to itself. */
  options: z.ZodType<Options, Given>;
  /** Agents that the options name. A pattern can give work to these, and to those which the workflow adds. */
  agents(options: Options): readonly string[];
  /** Tasks that the options declare, so that cycles and unknown needs are refused when the definition is read (C1). */
  tasks?(options: Options): readonly { id: string; needs: readonly string[] }[];
  /** What the change means for the task graph. An error that it throws ends the run as failed. */
  plan(view: PatternView<Options>, change: Change): readonly Edit[];
  /** The input of a task that was added without one, asked when its needs are met. */
  bind?(view: PatternView<Options>, task: TaskView): Binding;
}

/** A pattern (C3): what a definition needs to know of it, and the planner that the engine asks. */
export interface Pattern<Given = unknown> extends Planner {
  readonly name: string;
  readonly options: z.ZodType<unknown, Given>;
  agents(options: never): readonly string[];
  tasks?(options: never): readonly { id: string; needs: readonly string[] }[];
}

/** Makes a pattern. The built-in ones are made with it and with nothing else; a user's own is their equal. */
export function definePattern<Options, Given>(definition: PatternDefinition<Options, Given>): Pattern<Given> {
  const { bind, ...rest } = definition;
  return Object.freeze({
    ...rest,
    plan: (view: RunView, change: Change) => definition.plan(own<Options>(view), change),
    ...(bind === undefined ? {} : { bind: (view: RunView, task: TaskView) => bind(own<Options>(view), task) }),
  });
}

/** The definition parsed the options with this pattern's schema before any run: see `RunView.options`. */
function own<Options>(view: RunView): PatternView<Options> {
  return view as unknown as PatternView<Options>;
}
