/** How a failure is handled (F1): `transient` is retried with back-off, `permanent` is not retried,
 *  `business` is a rule of the workflow and is shown to people. */
export type ErrorClass = "transient" | "permanent" | "business";

interface Entry {
  /** The number shown to people, `FLTnnn`; stable for ever. */
  readonly id: string;
  readonly class: ErrorClass;
  /** What it means, in one sentence (printed by `flotilla help` and checked against `docs/reference/errors.md`). */
  readonly meaning: string;
  /** What to do about it, when the place that throws knows nothing better. */
  readonly fix: string;
  /** CLI exit code (`ux.md`): 1 run failed, 2 usage, 3 definition, 4 waiting, 5 budget or policy, 6 unreachable. */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6;
}

const entry = (id: string, cls: ErrorClass, exit: Entry["exit"], meaning: string, fix: string): Entry => ({
  id,
  class: cls,
  exit,
  meaning,
  fix,
});

/** Every error that Flotilla raises. HTTP status, exit code and retry decision follow from here and nowhere else. */
export const catalogue = {
  // 1xx: definitions
  DEFINITION_NOT_FOUND: entry(
    "FLT100",
    "permanent",
    3,
    "No fleet definition was found.",
    "Create one with `flotilla init demo`, or name it with --file.",
  ),
  DEFINITION_AMBIGUOUS: entry(
    "FLT101",
    "permanent",
    3,
    "More than one fleet definition was found in one folder.",
    "Keep one, or name it with --file.",
  ),
  DEFINITION_SYNTAX: entry(
    "FLT102",
    "permanent",
    3,
    "The definition is not valid YAML or TypeScript.",
    "Correct the line that is shown.",
  ),
  DEFINITION_UNKNOWN_KEY: entry(
    "FLT103",
    "permanent",
    3,
    "A key of the definition is not known.",
    "Use the suggested key, or remove it.",
  ),
  DEFINITION_INVALID: entry(
    "FLT104",
    "permanent",
    3,
    "A value of the definition has the wrong type or form.",
    "Give a value of the form that is shown.",
  ),
  DEFINITION_MISSING_KEY: entry(
    "FLT105",
    "permanent",
    3,
    "A required key of the definition is absent.",
    "Add the key.",
  ),
  DEFINITION_EXPRESSION: entry(
    "FLT106",
    "permanent",
    3,
    "An expression in `${ }` does not parse.",
    "Correct the expression (CEL).",
  ),
  DEFINITION_FILE: entry(
    "FLT107",
    "permanent",
    3,
    "A file that the definition names cannot be read.",
    "Correct the path; it is relative to the definition.",
  ),
  DEFINITION_CYCLE: entry(
    "FLT120",
    "permanent",
    3,
    "Tasks depend on each other in a cycle.",
    "Remove one edge of the printed cycle.",
  ),
  DEFINITION_REFERENCE: entry(
    "FLT121",
    "permanent",
    3,
    "The definition refers to something that it does not define.",
    "Use one of the names that are listed.",
  ),
  DEFINITION_DUPLICATE: entry("FLT122", "permanent", 3, "One name is defined twice.", "Rename one of them."),
  DEFINITION_MISSING: entry(
    "FLT130",
    "permanent",
    3,
    "A run is pinned to a definition whose code is not here any more.",
    "Bring the code back, or start the workflow anew on today's code.",
  ),
  // 2xx: models and tools
  MODEL_KEY_MISSING: entry(
    "FLT201",
    "permanent",
    2,
    "No API key is set for a provider.",
    "Set the key in the environment or in .env, or run offline with --model scripted.",
  ),
  MODEL_UNAUTHORISED: entry(
    "FLT202",
    "permanent",
    1,
    "The provider refused the API key.",
    "Check the key and its rights.",
  ),
  MODEL_RATE_LIMITED: entry(
    "FLT203",
    "transient",
    1,
    "The provider limits the rate of requests.",
    "It is retried after the time that the provider names.",
  ),
  MODEL_UNAVAILABLE: entry(
    "FLT204",
    "transient",
    1,
    "The provider cannot be reached or failed.",
    "It is retried; check the base URL and the network.",
  ),
  MODEL_REQUEST_INVALID: entry(
    "FLT205",
    "permanent",
    1,
    "The provider refused the request.",
    "Check model name and options.",
  ),
  MODEL_RESPONSE_INVALID: entry(
    "FLT206",
    "transient",
    1,
    "The provider's answer is not in its own format.",
    "It is retried; check that the base URL points to such a provider.",
  ),
  MODEL_UNKNOWN: entry(
    "FLT207",
    "permanent",
    3,
    "A model's provider is not known.",
    "Use openai, anthropic, google, scripted, or declare the provider under `providers`.",
  ),
  MODEL_SCRIPT_EXHAUSTED: entry(
    "FLT208",
    "permanent",
    1,
    "The scripted model has no rule for this request.",
    "Add a rule to the script.",
  ),
  MODEL_REFUSED: entry(
    "FLT209",
    "permanent",
    1,
    "The model stopped for a reason that is not an answer.",
    "See the reason; change the prompt or the limits.",
  ),
  PACKAGE_MISSING: entry(
    "FLT210",
    "permanent",
    2,
    "An optional package is needed and not installed.",
    "Install the package that is named.",
  ),
  SECRET_MISSING: entry(
    "FLT211",
    "permanent",
    2,
    "A secret that the definition refers to is not set.",
    "Set it in the environment or in .env.",
  ),
  MODEL_SCRIPT_FAILED: entry(
    "FLT212",
    "permanent",
    1,
    "An expression of the script has no value for this request.",
    "Correct the rule that is named.",
  ),
  TOOL_FAILED: entry("FLT220", "permanent", 1, "A tool failed.", "See its message and cause."),
  TOOL_UNAVAILABLE: entry("FLT221", "transient", 1, "A tool cannot be reached.", "It is retried."),
  TOOL_NOT_GRANTED: entry(
    "FLT222",
    "permanent",
    1,
    "An agent called a tool that it was not granted.",
    "Add the tool to the agent's `tools`, if it may use it.",
  ),
  AGENT_NOT_GRANTED: entry(
    "FLT240",
    "permanent",
    1,
    "An agent called another that it may not call.",
    "Add the other to the agent's `calls`, if it may call it.",
  ),
  DEADLOCK: entry(
    "FLT241",
    "permanent",
    1,
    "An agent called one that, directly or by others, waits for it.",
    "Break the cycle that is named; or allow the last of these calls with `recursive: true` in its grant.",
  ),
  HANDOVER_REFUSED: entry(
    "FLT248",
    "permanent",
    1,
    "An agent may not hand its task over to another.",
    "Grant it in the agent's `calls` with `handover: true`; or raise `limits.handoversMax`, if agents do not merely pass the task to and fro.",
  ),
  TOOL_INPUT_INVALID: entry(
    "FLT223",
    "permanent",
    1,
    "A tool was called with input that does not match its schema.",
    "Correct the input.",
  ),
  TOOL_OUTPUT_INVALID: entry(
    "FLT224",
    "permanent",
    1,
    "A tool returned output that does not match its schema.",
    "Correct the tool.",
  ),
  FACT_KEY_INVALID: entry(
    "FLT280",
    "permanent",
    2,
    "A fact was named by what is no key: words of letters, digits, - and _, joined by dots.",
    "Write it as in customer.address.",
  ),
  FACT_NOT_GRANTED: entry(
    "FLT281",
    "permanent",
    1,
    "An agent asked for a fact that it may not read, or proposed one that it may not write.",
    "Grant it in the agent's facts.read or facts.write.",
  ),
  FACT_CONFLICT: entry(
    "FLT282",
    "business",
    1,
    "A fact was proposed on another version than the newest.",
    "Read the newest version, and propose again on top of it.",
  ),
  TOOL_CHANGED: entry(
    "FLT225",
    "permanent",
    5,
    "An MCP tool's descriptor changed since it was approved.",
    "Review the change, then pin it with `flotilla check --fix`.",
  ),
  TOOL_UNKNOWN: entry(
    "FLT226",
    "permanent",
    1,
    "An MCP server does not offer the tool.",
    "Use one of the names that are listed.",
  ),
  // 3xx: runs and tasks
  WORKFLOW_UNKNOWN: entry(
    "FLT300",
    "permanent",
    2,
    "The fleet has no workflow of this name.",
    "Use one of the names that are listed.",
  ),
  FORK_INVALID: entry(
    "FLT306",
    "permanent",
    2,
    "A run cannot be forked there, or not so.",
    "Choose an event before the run's end: flotilla replay RUN.",
  ),
  EFFECT_UNKNOWN: entry(
    "FLT307",
    "business",
    1,
    "A fork answers a tool from the record, and the record has no answer to this call.",
    "Allow the tool in the fork, or leave it out: --effect TOOL=allow or TOOL=skip.",
  ),
  RUN_ENDED: entry(
    "FLT304",
    "business",
    1,
    "The run has ended: nothing of it can be changed any more.",
    "Look at it with flotilla show, or start another run.",
  ),
  RUN_UNKNOWN: entry("FLT301", "permanent", 2, "There is no run of this id.", "List the runs: flotilla ls."),
  TARGET_UNKNOWN: entry(
    "FLT308",
    "permanent",
    2,
    "The fleet has no agent or workflow of this name.",
    "Use one of the names that are listed.",
  ),
  INPUT_INVALID: entry(
    "FLT302",
    "permanent",
    2,
    "The input does not match the workflow's schema.",
    "Correct the fields that are named.",
  ),
  IDEMPOTENCY_CONFLICT: entry(
    "FLT303",
    "permanent",
    2,
    "The idempotency key was used before with other input.",
    "Use another key.",
  ),
  TASK_TIMEOUT: entry(
    "FLT310",
    "transient",
    1,
    "A task took longer than its agent's timeoutMs.",
    "Raise timeoutMs, or see which step was slow.",
  ),
  STEP_TIMEOUT: entry(
    "FLT311",
    "transient",
    1,
    "A model or tool call took longer than its time-out.",
    "Raise the time-out, or see why the call is slow.",
  ),
  AGENT_FAILED: entry("FLT312", "permanent", 1, "An agent's code threw an error.", "See its message and stack."),
  OUTPUT_INVALID: entry(
    "FLT313",
    "permanent",
    1,
    "An agent's output does not match its schema, also after it was asked again.",
    "Loosen the schema, or improve the instructions.",
  ),
  AGENT_CONVICTED: entry(
    "FLT315",
    "permanent",
    1,
    "An agent's task killed its process repeatedly while alone in it.",
    "See the agent's code; nothing else was affected.",
  ),
  TASK_EXPIRED: entry(
    "FLT325",
    "permanent",
    1,
    "A task waited for a worker longer than its time to live.",
    "Raise limits.queueMs, or the number of hosts and their concurrency.",
  ),
  CANCELLED: entry(
    "FLT316",
    "business",
    5,
    "The work was stopped by a person or a policy.",
    "Start it again if it is still wanted.",
  ),
  DEPENDENCY_FAILED: entry(
    "FLT317",
    "business",
    1,
    "A task that this one needs did not complete.",
    "See the first failure: flotilla show RUN --root-cause.",
  ),
  OUTCOME_UNKNOWN: entry(
    "FLT318",
    "business",
    4,
    "A writing tool was interrupted between intent and outcome.",
    "Find out what happened, then settle it: flotilla settle RUN STEP --done or --not-done.",
  ),
  CONTEXT_OVERFLOW: entry(
    "FLT319",
    "permanent",
    1,
    "A conversation outgrew the model's context window and the policy forbids compaction.",
    "Set `context.policy`, or use a model with a larger window.",
  ),
  NONDETERMINISTIC: entry(
    "FLT502",
    "permanent",
    1,
    "A resumed agent did not repeat the steps that are on record.",
    "Keep code between steps free of effects; use ctx.now and ctx.random. Fork the run to use new code.",
  ),
  CYCLE: entry("FLT320", "permanent", 1, "A task would depend on itself.", "Remove one edge of the printed cycle."),
  PLAN_INVALID: entry(
    "FLT322",
    "permanent",
    1,
    "A plan does not fit the declared agents or the schema of plans.",
    "See the problems that are listed.",
  ),
  EXPRESSION_FAILED: entry(
    "FLT323",
    "permanent",
    1,
    "An expression in `${ }` has no value for this run.",
    "Correct the expression, or see why what it asks for is not there.",
  ),
  REVIEW_REJECTED: entry(
    "FLT324",
    "business",
    1,
    "A result was not accepted in as many rounds as the workflow allows.",
    "See the feedback; raise roundsMax, or set onRejected: synthesise.",
  ),
  ITEM_UNCLAIMED: entry(
    "FLT340",
    "business",
    1,
    "An item lay on a swarm's board that nobody takes.",
    "Add a member that takes it, or leave it to the report with onUnclaimed: report.",
  ),
  DISAGREEMENT: entry(
    "FLT341",
    "business",
    1,
    "Agents gave different answers, and the declared policy could not make one of them.",
    "See the record of the task that settles it; declare what a tie does with `resolve.tie`, or a lower quorum.",
  ),
  PLAN_FAILED: entry(
    "FLT343",
    "business",
    1,
    "A plan could not be carried out, and was not revised any further.",
    "See why in the history of its revisions; raise revisionsMax, or give the planner other workers.",
  ),
  OBJECTION: entry(
    "FLT344",
    "business",
    1,
    "An agent objects to the plan of which it was given a part.",
    "Read its reason; in the pattern `planner` it revises the plan.",
  ),
  ROUTE_NONE: entry(
    "FLT342",
    "business",
    1,
    "A route found no agent that can do a task.",
    "See what each candidate lacks; declare it, or say with `otherwise` who does what is left.",
  ),
  CIRCUIT_OPEN: entry(
    "FLT230",
    "transient",
    1,
    "A model or tool failed again and again, and is left alone for a while.",
    "It is tried again by itself; see what it fails with, or give the agent a fallback model.",
  ),
  // 4xx: limits
  LIMIT_COST: entry(
    "FLT401",
    "business",
    5,
    "A run reached its limit of money.",
    "Raise limits.costUsdMax if it is worth it.",
  ),
  LIMIT_TOKENS: entry(
    "FLT402",
    "business",
    5,
    "A run reached its limit of tokens.",
    "Raise limits.tokensMax if it is worth it.",
  ),
  LIMIT_STEPS: entry(
    "FLT403",
    "business",
    5,
    "A task or run reached its limit of steps.",
    "Raise limits.stepsMax; see whether the agent loops.",
  ),
  LIMIT_TASKS: entry("FLT404", "business", 5, "A run reached its limit of tasks.", "Raise limits.tasksMax."),
  LIMIT_DEPTH: entry(
    "FLT405",
    "business",
    5,
    "Tasks were nested deeper than the run allows.",
    "Raise limits.depthMax.",
  ),
  LIMIT_TIME: entry("FLT406", "business", 5, "A run reached its limit of time.", "Raise limits.timeMs."),
  QUEUE_FULL: entry(
    "FLT407",
    "transient",
    5,
    "The queue has reached its bound; the work was not accepted.",
    "Start it again later, or raise queueDepthMax.",
  ),
  // 5xx: messages and records
  MESSAGE_REFUSED: entry(
    "FLT500",
    "permanent",
    1,
    "A message failed verification and was not acted on.",
    "See the reason in the fleet's journal: flotilla show fleet.",
  ),
  JOURNAL_DAMAGED: entry(
    "FLT501",
    "permanent",
    1,
    "A journal does not verify.",
    "Restore a backup; see which event is named.",
  ),
  EVENT_INVALID: entry(
    "FLT503",
    "permanent",
    1,
    "An event does not match its schema.",
    "The record was written by a newer or a damaged Flotilla.",
  ),
  PAYLOAD_ERASED: entry(
    "FLT504",
    "permanent",
    1,
    "The content was erased on request; its digest remains.",
    "Nothing: the content cannot be brought back.",
  ),
  BLOB_MISSING: entry(
    "FLT505",
    "permanent",
    1,
    "A blob that an event refers to is not in the store.",
    "Restore a backup.",
  ),
  ERASE_REFUSED: entry(
    "FLT506",
    "permanent",
    2,
    "Content cannot be erased as asked.",
    "Wait until the run has ended, or end it: flotilla stop RUN. Then erase.",
  ),
  EXPORT_REFUSED: entry(
    "FLT507",
    "permanent",
    2,
    "A run cannot be exported as asked.",
    "Wait until it has ended, or end it: flotilla stop RUN. Then export.",
  ),
  IMPORT_INVALID: entry(
    "FLT508",
    "permanent",
    1,
    "A file is no exported run, or was altered since it was exported.",
    "Get the file again from whoever exported it: flotilla export RUN.",
  ),
  IMPORT_REFUSED: entry(
    "FLT509",
    "permanent",
    1,
    "The store has another run of this id.",
    "Import it into another store: --store sqlite:FILE.",
  ),
  KEYS_EXPOSED: entry(
    "FLT510",
    "permanent",
    6,
    "The key file can be read by other users; it was not used.",
    "Take away their permission. If others have read it, remove it: new keys are made at the next start, on record.",
  ),
  KEYS_DAMAGED: entry(
    "FLT511",
    "permanent",
    6,
    "The key file is damaged or was altered; it was left untouched.",
    "Restore it from a backup. Else remove it: new keys are made at the next start, and that goes on record; old signatures are then checked with the public keys in the record.",
  ),
  // 6xx: store and processes
  STORE_UNAVAILABLE: entry(
    "FLT601",
    "transient",
    6,
    "The store cannot be reached.",
    "Check it with `flotilla doctor`.",
  ),
  STORE_FULL: entry(
    "FLT602",
    "transient",
    6,
    "The disk is full; nothing was acknowledged that is not on it.",
    "Free space; work continues by itself.",
  ),
  STORE_NEWER: entry(
    "FLT603",
    "permanent",
    6,
    "The store was written by a newer Flotilla; it was left untouched.",
    "Use that version, or another store.",
  ),
  STORE_DAMAGED: entry(
    "FLT604",
    "permanent",
    6,
    "The store file is damaged or not a Flotilla store; it was left untouched.",
    "Restore a backup, or name another store.",
  ),
  STORE_OWNED: entry(
    "FLT605",
    "transient",
    6,
    "Another process owns the store and cannot be reached.",
    "Wait for it, or stop it.",
  ),
  STORE_READONLY: entry(
    "FLT606",
    "permanent",
    6,
    "The store's folder cannot be written.",
    "Give write permission, or name another store with --store.",
  ),
  BACKUP_EXISTS: entry(
    "FLT611",
    "permanent",
    2,
    "A backup would overwrite something.",
    "Name a folder that is not there yet, such as backup-2026-01-31.",
  ),
  STORE_CLOSED: entry("FLT607", "transient", 6, "The store or the app was closed.", "Open it again."),
  OWNER_GONE: entry(
    "FLT608",
    "transient",
    6,
    "The process that owns the store went away.",
    "Repeat the command; the runs are kept.",
  ),
  NODE_OLD: entry("FLT610", "permanent", 2, "Node is too old.", "Use Node 24 or newer."),
  // 7xx: people
  APPROVAL_REJECTED: entry(
    "FLT701",
    "business",
    1,
    "A person refused to let a tool be called.",
    "Do without that call, or propose another one.",
  ),
  APPROVAL_EXPIRED: entry(
    "FLT702",
    "business",
    1,
    "Nobody decided on a tool call in time, and its default is to reject.",
    "Decide sooner, or give the tool's `approval` a longer deadlineMs.",
  ),
  APPROVAL_MISSING: entry(
    "FLT703",
    "permanent",
    5,
    "A worker made a tool call that needs a person's approval and had none for exactly that call.",
    "Find out what code ran in that worker: the call was not allowed.",
  ),
  INBOX_UNKNOWN: entry("FLT704", "permanent", 2, "There is no such item in the inbox.", "List them: flotilla inbox."),
  INBOX_DECIDED: entry(
    "FLT705",
    "business",
    1,
    "The item was decided before, or what it asks about is over.",
    "See what became of its run: flotilla show RUN.",
  ),
  INBOX_CHOICE: entry(
    "FLT706",
    "permanent",
    2,
    "An item cannot be decided so.",
    "Choose one of the options that it names.",
  ),
  DEAD_LETTER_UNKNOWN: entry(
    "FLT710",
    "permanent",
    2,
    "There is no such dead letter; it may have been replayed or dropped.",
    "List them: flotilla dead-letters.",
  ),
  DEAD_LETTER_LOST: entry(
    "FLT711",
    "permanent",
    2,
    "A dead letter cannot be replayed: the fleet does not have its agent any more.",
    "Bring the agent back, or drop it.",
  ),
  // 9xx: usage and defects
  USAGE: entry("FLT900", "permanent", 2, "The command line is not understood.", "See flotilla --help."),
  UNSUPPORTED: entry("FLT901", "permanent", 2, "This combination is not supported.", "See the message."),
  OPTION_INVALID: entry(
    "FLT902",
    "permanent",
    2,
    "An option or argument of an API call is unknown or wrong.",
    "Correct what is named.",
  ),
  INVARIANT: entry(
    "FLT999",
    "permanent",
    1,
    "Flotilla broke a rule of its own: a defect.",
    "Report it with the state that was dumped.",
  ),
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof catalogue;

export interface ErrorOptions {
  hint?: string;
  /** Only where the catalogue's class does not fit: errors of users' code, and records from elsewhere. */
  class?: ErrorClass;
  details?: Record<string, unknown>;
  cause?: unknown;
  /** Milliseconds after which a transient failure may be retried, when the other side named it (`retry-after`). */
  retryAfterMs?: number;
}

/** An error as data: what is journaled, sent over the wire and printed. */
export interface ErrorRecord {
  code: string;
  class: ErrorClass;
  message: string;
  hint?: string;
  details?: Record<string, unknown>;
  retryAfterMs?: number;
}

const MARK = Symbol.for("flotilla.error");

/** The one error of Flotilla; recognised by mark, since two copies of the package may meet. */
export class FlotillaError extends Error {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly hint: string;
  readonly details: Record<string, unknown>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FlotillaError";
    this.code = code;
    this.class = options.class ?? catalogue[code].class;
    this.hint = options.hint ?? catalogue[code].fix;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
    Object.defineProperty(this, MARK, { value: true });
  }

  /** The number for people, `FLTnnn`. */
  get id(): string {
    return catalogue[this.code].id;
  }
}

export function isFlotillaError(error: unknown): error is FlotillaError {
  return typeof error === "object" && error !== null && (error as Record<symbol, unknown>)[MARK] === true;
}

/** Any thrown value as a record. Foreign errors become `fallback`, keeping their message. */
export function toErrorRecord(error: unknown, fallback: ErrorCode = "AGENT_FAILED"): ErrorRecord {
  if (isFlotillaError(error)) {
    return {
      code: error.code,
      class: error.class,
      message: error.message,
      hint: error.hint,
      ...(Object.keys(error.details).length > 0 ? { details: error.details } : {}),
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: fallback, class: catalogue[fallback].class, message };
}

/** The error that a record describes, to throw on this side of a wire. */
export function fromErrorRecord(record: ErrorRecord): FlotillaError {
  const code = (record.code in catalogue ? record.code : "AGENT_FAILED") as ErrorCode;
  return new FlotillaError(code, record.message, {
    class: record.class,
    ...(record.hint === undefined ? {} : { hint: record.hint }),
    ...(record.details === undefined ? {} : { details: record.details }),
    ...(record.retryAfterMs === undefined ? {} : { retryAfterMs: record.retryAfterMs }),
  });
}

/** Throws INVARIANT when a rule of our own is broken; input from outside is never checked with it. */
export function invariant(
  condition: unknown,
  message: string,
  details?: () => Record<string, unknown>,
): asserts condition {
  if (!condition) throw new FlotillaError("INVARIANT", message, details ? { details: details() } : {});
}
