import type { Context } from "./context.ts";
import type { ExitCode } from "./failure.ts";

/** What a command's module exports. */
export interface CommandModule {
  run(context: Context, args: readonly (string | undefined)[], options: Options): Promise<ExitCode>;
}

/** Options as they were typed: flags are true, repeated ones are lists. */
export type Options = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface OptionSpec {
  /** As commander writes them: `-y, --yes`, `--at <version>`. */
  flags: string;
  description: string;
  /** May be given several times. */
  repeated?: true;
}

export interface CommandSpec {
  name: string;
  /** As commander writes them: `[workflow]`, `<run>`. */
  args?: string;
  description: string;
  options?: readonly OptionSpec[];
  /** Groups of shared flags. */
  uses: readonly (keyof typeof SHARED)[];
  examples: readonly string[];
  load(): Promise<CommandModule>;
}

/** Flags that many commands share. */
export const SHARED = {
  definition: [
    { flags: "--file <path>", description: "the fleet's definition; default: fleet.yaml or fleet.ts, searched upward" },
  ],
  store: [
    { flags: "--store <url>", description: "sqlite:PATH; default: .flotilla/store.db beside the definition" },
    { flags: "--fleet <name>", description: "the fleet, when a store holds several" },
  ],
  owner: [
    {
      flags: "--store <url>",
      description: "sqlite:PATH or memory:; default: .flotilla/store.db beside the definition",
    },
  ],
  work: [
    { flags: "--model <model>", description: "replaces every agent's model, as provider/name or scripted" },
    { flags: "--hosts <number>", description: "worker host processes" },
    { flags: "--concurrency <number>", description: "tasks at a time in each host" },
    { flags: "--log-level <level>", description: "debug, info, warn or error; goes to .flotilla/log" },
  ],
} as const satisfies Record<string, readonly OptionSpec[]>;

/** Flags of `approve` and `reject`. */
const DECIDING: readonly OptionSpec[] = [
  { flags: "--note <text>", description: "why; goes on record" },
  { flags: "--as <name>", description: "who decides, for the record; default: your user name" },
  {
    flags: "--all-matching <filter>",
    description: "all that wait and fit: run=, workflow=, task=, agent=, tool= or kind=",
    repeated: true,
  },
  { flags: "-y, --yes", description: "do it to many without being shown them first" },
];

/** Every command, in the order in which help lists them. Each is imported when it is called. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    name: "init",
    args: "[folder]",
    description: "make a new project from an example",
    options: [
      { flags: "--example <name>", description: "which example; default: incident" },
      { flags: "--dir <folder>", description: "where to; the same as the argument" },
      { flags: "--list", description: "list the examples" },
    ],
    uses: [],
    examples: ["flotilla init demo", "flotilla init --list"],
    load: () => import("./command/init.ts"),
  },
  {
    name: "dev",
    description: "serve the fleet here, reload it when its definition changes",
    options: [{ flags: "--ephemeral", description: "keep nothing: a store in memory" }],
    uses: ["definition", "owner", "work"],
    examples: ["flotilla dev"],
    load: () => import("./command/dev.ts"),
  },
  {
    name: "check",
    description: "validate a definition",
    options: [
      { flags: "--fix", description: "correct what has one obvious correction, and pin MCP tools" },
      { flags: "--strict", description: "also refuse what would only fail later: missing keys and secrets" },
    ],
    uses: ["definition"],
    examples: ["flotilla check", "flotilla check --fix"],
    load: () => import("./command/check.ts"),
  },
  {
    name: "schema",
    description: "write the JSON Schema of fleet.yaml for editors",
    options: [
      { flags: "--out <path>", description: "file to write, - for stdout; default: .flotilla/fleet.schema.json" },
    ],
    uses: ["definition"],
    examples: ["flotilla schema", "flotilla schema --out -"],
    load: () => import("./command/schema.ts"),
  },
  {
    name: "doctor",
    description: "look for what keeps a fleet from working here",
    uses: ["definition", "store"],
    examples: ["flotilla doctor"],
    load: () => import("./command/doctor.ts"),
  },
  {
    name: "run",
    args: "[workflow]",
    description: "start a run and follow it to its end",
    options: [
      {
        flags: "--input <value>",
        description: "name=value (repeat it), a JSON document, or @file.json",
        repeated: true,
      },
      {
        flags: "--resume",
        description: "go on with the newest unfinished run of the same workflow and input, if there is one",
      },
      { flags: "--detach", description: "only start it, in the process that serves the fleet" },
      { flags: "--timeout <span>", description: "the run's limit of time: 90s, 10m, 2h" },
      { flags: "--budget <usd>", description: "the run's limit of money, in US dollars" },
      { flags: "--key <key>", description: "idempotency key: the same key never starts a second run" },
      { flags: "--priority <name>", description: "CRITICAL, HIGH, NORMAL or LOW" },
      { flags: "--tokens", description: "show models' words as they stream" },
      { flags: "--verbose", description: "show every step" },
      { flags: "-y, --yes", description: "do not ask before a run that costs money" },
      {
        flags: "--approve <tool>",
        description: "allow this run's calls of a tool that wants approval; on record as yours",
        repeated: true,
      },
    ],
    uses: ["definition", "owner", "work"],
    examples: ["flotilla run incident --input log=app.log", "flotilla run --resume"],
    load: () => import("./command/run.ts"),
  },
  {
    name: "ls",
    description: "list runs",
    options: [
      { flags: "--children", description: "also runs that are the work of another run's task" },
      { flags: "--status <status>", description: "running, completed, failed or stopped" },
      { flags: "--workflow <name>", description: "only runs of this workflow" },
      { flags: "--limit <number>", description: "at most so many; default: 20" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla ls --status failed", "flotilla ls --json"],
    load: () => import("./command/ls.ts"),
  },
  {
    name: "cost",
    description: "what was spent, on what, and what was saved",
    options: [
      { flags: "--by <what>", description: "agent, workflow, model, day or run; default: model" },
      { flags: "--since <when>", description: "a span such as 7d or 24h, or a day such as 2026-01-31; default: ever" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla cost --by agent --since 7d", "flotilla cost --by day --json"],
    load: () => import("./command/cost.ts"),
  },
  {
    name: "show",
    args: "[run]",
    description: "tell the story of a run: acts, outcome, cost; `fleet` for the fleet's own journal",
    options: [
      {
        flags: "--root-cause",
        description: "only what failed first: step, input, error, what was tried, next command",
      },
      { flags: "--step <key>", description: "one step in full, as TASK/KEY or KEY" },
      { flags: "--all", description: "every event, also assignments and steps" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla show @last", "flotilla show r-7f3a --root-cause", "flotilla show fleet"],
    load: () => import("./command/show.ts"),
  },
  {
    name: "watch",
    args: "[run]",
    description: "follow runs live",
    options: [
      { flags: "--agent <name>", description: "only this agent's work" },
      { flags: "--level <level>", description: "log lines from this level on: debug, info, warn or error" },
      { flags: "--tokens", description: "show models' words as they stream" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla watch", "flotilla watch @last --tokens"],
    load: () => import("./command/watch.ts"),
  },
  {
    name: "stop",
    args: "[run...]",
    description: "end runs; what is in flight is aborted",
    options: [
      { flags: "--reason <text>", description: "goes on record" },
      { flags: "--all", description: "every run that is running" },
      { flags: "--workflow <name>", description: "every running run of this workflow" },
      {
        flags: "--where <cel>",
        description: "every running run for which this holds: CEL over run.id, run.workflow, run.ageMs, run.definition",
      },
      { flags: "-y, --yes", description: "needed to stop several at once" },
    ],
    uses: ["definition", "owner"],
    examples: [
      "flotilla stop @last --reason 'wrong log'",
      "flotilla stop --where 'run.ageMs > 3600000' --reason 'too old' --yes",
    ],
    load: () => import("./command/stop.ts"),
  },
  {
    name: "inbox",
    args: "[run]",
    description: "list what waits for a person (F9)",
    options: [
      { flags: "--mine", description: "just what is addressed to you" },
      { flags: "--as <name>", description: "who you are; default: your user name" },
      { flags: "--overdue", description: "just what is past its deadline" },
      { flags: "--decided", description: "the last decisions instead" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla inbox", "flotilla inbox --overdue --json"],
    load: () => import("./command/inbox.ts"),
  },
  {
    name: "approve",
    args: "[items...]",
    description: "let calls be made that wait for a person (F9)",
    options: [
      { flags: "--edit <json>", description: "with these arguments in place of those that were asked about" },
      ...DECIDING,
    ],
    uses: ["definition", "owner"],
    examples: ["flotilla approve a-3f9c", "flotilla approve --all-matching tool=publish --yes"],
    load: () => import("./command/approve.ts"),
  },
  {
    name: "reject",
    args: "[items...]",
    description: "refuse calls that wait for a person (F9)",
    options: DECIDING,
    uses: ["definition", "owner"],
    examples: ["flotilla reject a-3f9c --note 'not on a Friday'"],
    load: () => import("./command/reject.ts"),
  },
  {
    name: "decide",
    args: "<item> <choice>",
    description: "decide on an item of the inbox by any choice that it offers (F9)",
    options: [
      {
        flags: "--edit <json>",
        description: "approve: other arguments; edit: the task's output; done: what the write returned",
      },
      { flags: "--agent <name>", description: "reassign: to whom" },
      { flags: "--answer <name>", description: "choose: whose answer, where agents did not agree" },
      { flags: "--note <text>", description: "why; goes on record" },
      { flags: "--as <name>", description: "who decides, for the record; default: your user name" },
    ],
    uses: ["definition", "owner"],
    examples: ["flotilla decide a-3f9c retry", "flotilla decide a-3f9c done --note 'seen in the log'"],
    load: () => import("./command/decide.ts"),
  },
  {
    name: "schedules",
    description: "list what starts by itself: next times, last run, what is held (I8)",
    uses: ["definition", "store"],
    examples: ["flotilla schedules", "flotilla schedules --json"],
    load: () => import("./command/schedules.ts"),
  },
  {
    name: "pause",
    args: "[run]",
    description: "hold a run, an agent, a workflow or the fleet until it is resumed; what is in flight is aborted",
    options: [
      { flags: "--agent <name>", description: "all work of this agent, and what it asked others for" },
      { flags: "--workflow <name>", description: "all runs of this workflow, later ones too" },
      { flags: "--fleet", description: "everything" },
      { flags: "--reason <text>", description: "why; needed, goes on record and is shown until it is resumed" },
    ],
    uses: ["definition", "owner"],
    examples: [
      "flotilla pause @last --reason 'looking at its plan'",
      "flotilla pause --agent mailer --reason 'the mail server is down'",
    ],
    load: () => import("./command/pause.ts"),
  },
  {
    name: "resume",
    args: "[run]",
    description: "let go on what was paused or killed",
    options: [
      { flags: "--agent <name>", description: "this agent" },
      { flags: "--workflow <name>", description: "this workflow" },
      { flags: "--fleet", description: "the fleet: what `pause --fleet` or `kill` stopped" },
      { flags: "--reason <text>", description: "goes on record" },
    ],
    uses: ["definition", "owner"],
    examples: ["flotilla resume @last", "flotilla resume --fleet --reason 'the cause is fixed'"],
    load: () => import("./command/resume.ts"),
  },
  {
    name: "kill",
    description: "emergency stop of the whole fleet: holds until `resume --fleet`, and kills worker processes",
    options: [
      { flags: "--reason <text>", description: "why; needed, goes on record and is shown until it is resumed" },
      { flags: "-y, --yes", description: "needed: without it, what would be stopped is shown" },
    ],
    uses: ["definition", "owner"],
    examples: ["flotilla kill --reason 'mails go to the wrong people' --yes"],
    load: () => import("./command/kill.ts"),
  },
  {
    name: "dead-letters",
    args: "[act] [items...]",
    description: "what failed for good: list, show, edit, replay or drop it (M9)",
    options: [
      { flags: "--kind <kind>", description: "expired, poisoned, undeliverable or failed" },
      { flags: "--run <run>", description: "of this run" },
      { flags: "--agent <name>", description: "of this agent" },
      { flags: "--reason <words>", description: "with these words in the reason" },
      { flags: "--all", description: "replay, edit, drop: all of them" },
      { flags: "--limit <number>", description: "how many are listed; default: 50" },
      { flags: "--input <json>", description: "edit: what the agent is to be given" },
      { flags: "--note <text>", description: "why; goes on record" },
      { flags: "--as <name>", description: "who does it, for the record; default: your user name" },
      { flags: "-y, --yes", description: "do it to many without being shown them first" },
    ],
    uses: ["definition", "owner"],
    examples: ["flotilla dead-letters --kind failed", "flotilla dead-letters replay --agent biller --yes"],
    load: () => import("./command/dead-letters.ts"),
  },
  {
    name: "settle",
    args: "<run> [step]",
    description: "say what became of a write that was interrupted (F13)",
    options: [
      { flags: "--done", description: "it happened" },
      { flags: "--not-done", description: "it did not happen: it is done again" },
      { flags: "--output <json>", description: "what it returned, with --done" },
      { flags: "--note <text>", description: "how you know; goes on record" },
    ],
    uses: ["definition", "owner"],
    examples: ["flotilla settle @last", "flotilla settle r-7f3a fix/restart#1 --done --note 'seen in the log'"],
    load: () => import("./command/settle.ts"),
  },
  {
    name: "erase",
    args: "<run>",
    description: "take the content out of an ended run for good; its digests remain (S6)",
    options: [
      { flags: "--reason <text>", description: "why; goes on record, and must be given" },
      { flags: "--versions <list>", description: "only these events, such as 3,5-9; default: all" },
      { flags: "-y, --yes", description: "do it: nothing brings the content back" },
    ],
    uses: ["definition", "owner"],
    examples: ["flotilla erase r-7f3a --reason 'request of a customer' --yes"],
    load: () => import("./command/erase.ts"),
  },
  {
    name: "export",
    args: "<run>",
    description: "write an ended run, with its child runs, into a portable file",
    options: [
      { flags: "--out <file>", description: "a new file; default: standard output" },
      { flags: "--redact", description: "leave out all content; order, times, agents and tools remain" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla export r-7f3a --out run.ndjson", "flotilla export @last --redact --out run.ndjson"],
    load: () => import("./command/export.ts"),
  },
  {
    name: "import",
    args: "<file>",
    description: "take an exported run in, as a record that nothing resumes",
    options: [],
    uses: ["definition", "owner"],
    examples: ["flotilla import run.ndjson"],
    load: () => import("./command/import.ts"),
  },
  {
    name: "fact",
    args: "<act> <run> [key] [value]",
    description: "list, show or set the shared facts of a run",
    options: [
      { flags: "--why <text>", description: "why it is set; goes on record, and must be given with set" },
      { flags: "--base <version>", description: "refuse unless the fact has this version" },
    ],
    uses: ["definition", "owner"],
    examples: [
      "flotilla fact list @last",
      "flotilla fact show @last customer.city",
      "flotilla fact set @last customer.city Oslo --why 'they moved'",
    ],
    load: () => import("./command/fact.ts"),
  },
  {
    name: "fork",
    args: "<run>",
    description: "start a new run from a moment of another one, with other prompts, models or input",
    options: [
      { flags: "--at <version>", description: "keep the events up to this one" },
      { flags: "--task <task>", description: "keep what came before this task; default: the task that failed the run" },
      {
        flags: "--prompt <agent=file>",
        description: "other instructions for an agent; may be repeated",
        repeated: true,
      },
      { flags: "--model <agent=model>", description: "another model for an agent; may be repeated", repeated: true },
      { flags: "--input <value>", description: "another input, with --at 1; as for run", repeated: true },
      { flags: "--effects <policy>", description: "what happens to writes of that run: allow, stub or skip" },
      { flags: "--effect <tool=policy>", description: "the same for one tool; may be repeated", repeated: true },
      { flags: "--dry-run", description: "show what would be kept and done again, and start nothing" },
      { flags: "--detach", description: "start it and come back at once" },
    ],
    uses: ["definition", "owner"],
    examples: [
      "flotilla fork @last --dry-run",
      "flotilla fork r-7f3a --at 14 --prompt debate=strict.md --effects stub",
    ],
    load: () => import("./command/fork.ts"),
  },
  {
    name: "diff",
    args: "<run> <other>",
    description: "compare two runs, or two moments of one (RUN@VERSION)",
    options: [
      { flags: "--steps", description: "every step that differs" },
      { flags: "--output", description: "the outputs alone" },
      { flags: "--cost", description: "tokens and money alone" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla diff r-7f3a r-91bd", "flotilla diff r-7f3a@40 r-7f3a --steps"],
    load: () => import("./command/diff.ts"),
  },
  {
    name: "replay",
    args: "<run>",
    description: "step through a record; nothing is executed",
    options: [
      { flags: "--at <version>", description: "show the state after this event" },
      { flags: "--from <version>", description: "start at this event" },
    ],
    uses: ["definition", "store"],
    examples: ["flotilla replay @last", "flotilla replay r-7f3a --at 14"],
    load: () => import("./command/replay.ts"),
  },
  {
    name: "backup",
    args: "<folder>",
    description: "copy the store and its keys into a new folder, also while it is written, and verify the copy",
    uses: ["definition", "store"],
    examples: ["flotilla backup backup-$(date +%F)"],
    load: () => import("./command/backup.ts"),
  },
  {
    name: "restore",
    args: "<folder>",
    description: "put a backup in the place of the store, after verifying it",
    options: [{ flags: "-y, --yes", description: "move aside the store that is there" }],
    uses: ["definition", "store"],
    examples: ["flotilla restore backup-2026-01-31"],
    load: () => import("./command/restore.ts"),
  },
  {
    name: "verify",
    args: "[run]",
    description: "verify the hash chains and signatures of one run, `fleet`, or everything",
    options: [{ flags: "--all", description: "every journal; the default" }],
    uses: ["definition", "store"],
    examples: ["flotilla verify", "flotilla verify @last"],
    load: () => import("./command/verify.ts"),
  },
  {
    name: "simulate",
    args: "[workflow]",
    description: "run the fleet in virtual time under injected faults",
    options: [
      { flags: "--input <value>", description: "as for run", repeated: true },
      { flags: "--runs <number>", description: "seeds; default: 100" },
      { flags: "--seed <number>", description: "the first seed, or the one to repeat" },
      { flags: "--fault <kind=share>", description: "such as tool.timeout=20%; repeat it", repeated: true },
      {
        flags: "--only <fault>",
        description: "exactly this fault of a schedule, as a failure prints it; repeat it",
        repeated: true,
      },
      { flags: "--script <file>", description: "rules of the scripted model, for every agent" },
    ],
    uses: ["definition"],
    examples: ["flotilla simulate incident --fault tool.timeout=20% --runs 20"],
    load: () => import("./command/simulate.ts"),
  },
  {
    name: "test",
    args: "[path...]",
    description: "run test cases: *.test.yaml beside the definition; the network is refused",
    options: [
      { flags: "--update", description: "write what came out into the cases as what is expected" },
      { flags: "--junit <path>", description: "write a JUnit report" },
      { flags: "--only <text>", description: "only cases whose name contains this" },
    ],
    uses: ["definition"],
    examples: ["flotilla test", "flotilla test --junit report.xml"],
    load: () => import("./command/test.ts"),
  },
  {
    name: "bench",
    args: "[workload...]",
    description: "measure this machine with the repository's benchmark",
    uses: [],
    examples: ["flotilla bench W1 W2"],
    load: () => import("./command/bench.ts"),
  },
  {
    name: "completion",
    args: "<shell>",
    description: "write the script with which bash, zsh, fish or powershell completes commands and options",
    uses: [],
    examples: [
      "flotilla completion bash >> ~/.bashrc",
      "flotilla completion fish > ~/.config/fish/completions/flotilla.fish",
    ],
    load: () => import("./command/completion.ts"),
  },
  {
    name: "help",
    args: "[topic]",
    description: "explain a command or an error: flotilla help FLT401",
    uses: [],
    examples: ["flotilla help run", "flotilla help FLT401"],
    load: () => import("./command/help.ts"),
  },
];

export function commandOf(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name);
}

/** All options of a command, shared ones included. */
export function optionsOf({ options = [], uses }: CommandSpec): readonly OptionSpec[] {
  return [...options, ...uses.flatMap((group) => SHARED[group] as readonly OptionSpec[]), ...COMMON];
}

const COMMON: readonly OptionSpec[] = [
  { flags: "--json", description: "JSON on stdout" },
  { flags: "--debug", description: "show causes and stacks of errors" },
];
