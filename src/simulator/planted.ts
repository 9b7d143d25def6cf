import type { CoordinatorFrame, TaskRef } from "../carrier/frame.ts";
import type { Accounts } from "../core/account.ts";
import type { Command, DecideContext } from "../core/command.ts";
import { decide } from "../core/decide.ts";
import type { Grant } from "../core/hire.ts";
import type { Binding, Edit, RunView, TaskView } from "../core/planner.ts";
import type { RouteChoice, Router } from "../core/route.ts";
import { SETTLED } from "../core/state.ts";
import { createEnvelope, type Envelope } from "../message/envelope.ts";
import { Coordinator } from "../runtime/coordinator.ts";
import type { DispatchHolds, LinkState, LinkTask } from "../runtime/dispatcher.ts";
import type { AccountWrite, Commit, CommitResult, EventRow, Store } from "../store/store.ts";
import type { PlantedHooks } from "./planted-hook.ts";

/** Bugs that somebody could write, put around the production roles to prove that a campaign would notice them. */
export const PLANTED = {
  /** Frames of an attempt that is over count as the current one's. */
  "skip the fence": { coordinator: (ports) => new Unfenced(ports), decide: unfenced, frames: withStale },
  /** A commit is acknowledged when it is on its way. */
  "acknowledge before the flush": { store: (store) => hasty(store) },
  /** A run's idempotency key is not kept. */
  "drop the dedupe of runs": { store: (store) => keyless(store) },
  /** A resumed agent is not given its record. */
  "drop the dedupe of steps": { frames: (frame) => [frame.f === "assign" ? { ...frame, steps: [] } : frame] },
  /** A suspended task has no timer. */
  "forget a timer": { store: (store) => forgetful(store) },
  /** A result that comes after the end of its task or run is put on record as if it counted. */
  "apply a late result": { coordinator: (ports) => new Credulous(ports), decide: belated },
  /** What calls had reserved that were under way when their process died is given back. */
  "forget a reservation at crash": { decide: forgiving },
  /** Nobody knows who read which fact. */
  "forget who read": { decide: forgetReaders },
  /** What is held is given out all the same. */
  "dispatch in spite of a hold": { coordinator: (ports) => new Heedless(ports), decide: heedless },
  /** Holds are not found any more after a restart. */
  "forget holds at a restart": { store: (store) => oblivious(store) },
  /** What a run has to say to others is thrown away when it was read, whether it arrived or not. */
  "lose what is in the outbox": { store: (store) => leaky(store) },
  /** A parent believes every message that its child ended, also the second one. */
  "hear of a child twice": { decide: gullible, store: (store) => unsent(store) },
  /** The store has no timers of schedules. */
  "forget the time of a schedule": { store: (store) => unpunctual(store) },
  /** A host goes on when its coordinator is gone. */
  "leak an orphan": { orphans: true },
  /** A swarm gives out work as if nobody held any. */
  "forget what is claimed": { decide: forgetfulOfClaims },
  /** A route does not look at who is busy. */
  "forget who is busy": { decide: blindToLoad },
  /** Calls that wait for a person are answered at once, and nobody looks whether they were. */
  "answer for the person": { decide: trusting, frames: answering },
  /** Whoever is asked may wait for the one that asks. */
  "let agents wait in a circle": { decide: circular },
  /** Whoever is asked may use every tool of the fleet. */
  "pass every tool on": { decide: generous },
  /** A shared budget is full for every run that draws on it, and the store does not mind. */
  "forget what others drew": { decide: carefree, store: (store) => boundless(store) },
  /** Disagreement is settled by an answer of the coordinator's own. */
  "make an answer up": { decide: inventive },
  /** A revision has everything done again. */
  "redo finished work": { decide: forgetfulOfWork },
} as const satisfies Record<string, PlantedHooks>;

export type PlantedBug = keyof typeof PLANTED;

/** Assignments that come again after their attempt is over, as a careless broker would deliver them: harmless where
 *  attempts fence. */
export const STALE_ASSIGNMENTS: PlantedHooks = { frames: withStale };

function withStale(frame: CoordinatorFrame): CoordinatorFrame[] {
  if (frame.f !== "assign" || frame.attempt < 2) return [frame];
  const attempt = frame.attempt - 1;
  const envelope = frame.envelope as Envelope<"task.request">;
  const stale = createEnvelope<"task.request">({
    ...envelope,
    id: `${envelope.id}/again`,
    payload: { ...envelope.payload, attempt },
  });
  return [{ ...frame, attempt, envelope: stale }, frame];
}

class Unfenced extends Coordinator {
  protected override heldAttempt(state: LinkState, frame: TaskRef): LinkTask | undefined {
    for (const held of state.tasks.values()) if (held.run === frame.run && held.task === frame.task) return held;
    return undefined;
  }
}

function unfenced(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const current =
    "attempt" in command && command.type !== "task.release" ? state.tasks.get(command.task)?.attempt : undefined;
  return decide(state, current === undefined ? command : ({ ...command, attempt: current } as Command), context);
}

class Credulous extends Coordinator {
  protected override heldAttempt(state: LinkState, frame: TaskRef & { agent?: string }): LinkTask | undefined {
    const { run, task, attempt, agent = "" } = frame;
    return super.heldAttempt(state, frame) ?? { run, task, attempt, agent, sent: true };
  }
}

function belated(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const isOpen =
    command.type !== "task.complete" ||
    (state.status === "running" && !SETTLED.has(state.tasks.get(command.task)?.status ?? "waiting"));
  if (isOpen) return decide(state, command, context);
  state.version += 1;
  const { task, attempt, output } = command;
  return [{ type: "task.completed", at: context.now, data: { task, attempt }, payload: { output } }];
}

function forgetfulOfClaims(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const { planner } = context;
  const unladen = (view: RunView): RunView => Object.create(view, { load: { value: () => 0 } }) as RunView;
  return decide(state, command, {
    ...context,
    planner: { ...planner, plan: (view, change) => planner.plan(unladen(view), change) },
  });
}

function forgiving(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const events = decide(state, command, context);
  for (const event of events) {
    if (event.type !== "call.settled" || event.data.outcome !== "unsettled") continue;
    event.data.outcome = "free";
  }
  return events;
}

function forgetReaders(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  state.readers.clear();
  return decide(state, command, context);
}

class Heedless extends Coordinator {
  protected override holdsOfDispatch(): DispatchHolds {
    return { everything: () => false, keeps: () => false };
  }
}

function heedless(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  return decide(state, command, { ...context, holds: [] });
}

function unpunctual(store: Store): Store {
  return withCommit(store, (commits) =>
    store.commit(
      commits.map((commit) => {
        const timers = commit.timers?.filter((timer) => timer.op === "clear" || !timer.name.startsWith("schedule/"));
        return timers === undefined ? commit : { ...commit, timers };
      }),
    ),
  );
}

function oblivious(store: Store): Store {
  const forget = (row: EventRow): EventRow => (row.type === "hold.placed" ? { ...row, type: "forgotten" } : row);
  return withMember(store, "events", async (...given: Parameters<Store["events"]>) =>
    (await store.events(...given)).map(forget),
  );
}

function blindToLoad(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const router = (name: string): Router | undefined => {
    const route = context.router?.(name);
    if (route === undefined) return undefined;
    return (question) => busiest(route(question));
  };
  return decide(state, command, { ...context, router });
}

function busiest(choice: RouteChoice): RouteChoice {
  if (!("agent" in choice)) return choice;
  const fitting = choice.candidates.filter(({ fits }) => fits).toSorted((a, b) => b.load - a.load);
  return { ...choice, agent: fitting[0]?.agent ?? choice.agent };
}

function inventive(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const { planner } = context;
  const bind = (view: RunView, task: TaskView): Binding => {
    const binding = planner.bind?.(view, task) ?? { later: true };
    if (!("output" in binding) || !task.id.endsWith("/settle")) return binding;
    return { output: { ...(binding.output as object), answer: "I know better" } };
  };
  return decide(state, command, { ...context, planner: { ...planner, bind } });
}

function forgetfulOfWork(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const { planner } = context;
  const again = (edits: readonly Edit[]): readonly Edit[] => {
    const isRevision = edits.some((edit) => edit.edit === "explain" && edit.why.startsWith("revision"));
    const [done] = [...state.tasks.values()].filter(({ id, status }) => id.startsWith("do/") && status === "completed");
    if (!isRevision || done === undefined) return edits;
    const id = `${done.id.slice(0, done.id.lastIndexOf("/"))}/99`;
    return [...edits, { edit: "add", task: { id, agent: done.agent, input: done.input ?? null } }];
  };
  return decide(state, command, {
    ...context,
    planner: { ...planner, plan: (view, change) => again(planner.plan(view, change)) },
  });
}

function circular(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  return decide(state, command, { ...context, grant: grantWith(context, () => ({ recursive: true })) });
}

function generous(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const tools = ["look", "post", "pay", "send", "vault"];
  return decide(state, command, { ...context, grant: grantWith(context, () => ({ tools })) });
}

function grantWith({ grant }: DecideContext, change: () => Partial<ReturnType<Grant>>): Grant {
  return (caller, agent) => {
    const given = grant?.(caller, agent) ?? null;
    return given === null ? null : { ...given, ...change() };
  };
}

function carefree(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  const { accounts } = context;
  if (accounts === undefined) return decide(state, command, context);
  const forgetful: Accounts = {
    terms: (agent, workflow, now) => accounts.terms(agent, workflow, now),
    drawn: () => ({ tokens: 0, costMicroUsd: 0 }),
    othersHold: () => false,
  };
  return decide(state, command, { ...context, accounts: forgetful });
}

function boundless(store: Store): Store {
  const unbound = (write: AccountWrite): AccountWrite => ({ ...write, tokensMax: null, costMicroUsdMax: null });
  const account: Store["account"] = async (...given) => ({ ...(await store.account(...given)), tokens: 0 });
  return withMember(
    withCommit(store, (commits) =>
      store.commit(
        commits.map((commit) =>
          commit.accounts === undefined ? commit : { ...commit, accounts: commit.accounts.map(unbound) },
        ),
      ),
    ),
    "account",
    account,
  );
}

/** A store in which one call is answered by something else. */
function withCommit(store: Store, commit: (commits: readonly Commit[]) => Promise<CommitResult[]>): Store {
  return withMember(store, "commit", commit);
}

function withMember<K extends keyof Store>(store: Store, replaced: K, by: Store[K]): Store {
  return new Proxy(store, {
    get(target, name: string) {
      if (name === replaced) return by;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

function hasty(store: Store): Store {
  return withCommit(store, async (commits) => {
    store.commit(commits).catch(() => {}); // Nobody asks any more what came of it: that is the bug.
    return commits.map(() => ({ ok: true }));
  });
}

function keyless(store: Store): Store {
  return withCommit(store, (commits) =>
    store.commit(
      commits.map((commit) => {
        if (commit.run?.create === undefined) return commit;
        const { idempotencyKey: _, inputDigest: __, ...create } = commit.run.create;
        return { ...commit, run: { ...commit.run, create } };
      }),
    ),
  );
}

function leaky(store: Store): Store {
  return withMember(store, "outbox", async (limit) => {
    const rows = await store.outbox(limit);
    await store.outboxSent(rows.map(({ id }) => id));
    return rows;
  });
}

/** Every row is found once more after it was sent. */
function unsent(store: Store): Store {
  const seen = new Set<number>();
  return withMember(store, "outboxSent", (ids) => {
    const again = ids.filter((id) => seen.has(id));
    for (const id of ids) seen.add(id);
    return store.outboxSent(again);
  });
}

function gullible(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  if (command.type !== "child.end" || state.status !== "running") return decide(state, command, context);
  const events = decide(state, command, context);
  if (events.length > 0 || state.tasks.get(command.task)?.child?.run !== command.child) return events;
  state.version += 1;
  const { task, child, status, used } = command;
  return [{ type: "child.ended", at: context.now, data: { task, child, status, used } }];
}

function forgetful(store: Store): Store {
  return withCommit(store, (commits) =>
    store.commit(
      commits.map((commit) => {
        const timers = commit.timers?.filter((timer) => timer.op === "clear" || !timer.name.startsWith("wake/"));
        return timers === undefined ? commit : { ...commit, timers };
      }),
    ),
  );
}

function trusting(...[state, command, context]: Parameters<typeof decide>): ReturnType<typeof decide> {
  return decide(state, command, { ...context, approval: () => null });
}

function answering(frame: CoordinatorFrame): CoordinatorFrame[] {
  if (frame.f !== "ack" || frame.phase !== "asked" || !frame.key.startsWith("approve ")) return [frame];
  return [{ ...frame, answer: { output: { arguments: null } } }];
}
