/** All that those who put things together may draw on. */
const PARTS = [
  ...["error", "version", "agent", "carrier", "core", "definition", "expression", "message", "model", "pattern"],
  ...["route", "schedule", "platform", "store", "telemetry", "tool"],
];

/** Who may import whom, by folder below `src` (`""` is `src` itself). A name with a slash is one file. `core` and
 *  `runtime` are what this is about: the first knows nothing, the second puts things together.
 *
 *  Folders that are not named on the right are out of reach, also for types. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  // The public names, and the app that `open` gives.
  "": ["", "core", "definition", "pattern", "runtime"],

  // Pure.
  core: ["error", "message"],
  expression: ["core"],
  schedule: ["core"],
  pattern: ["error", "core", "definition", "expression"],
  route: ["error", "core", "expression"],

  // Contracts, and what stands behind them. They know no role.
  message: ["error", "core"],
  platform: ["error"],
  telemetry: ["core"],
  carrier: ["error", "core", "message"],
  store: ["error", "core", "definition/nearest"],
  model: ["error", "core", "expression", "telemetry", "definition/nearest"],
  tool: ["error", "core", "message", "definition"],
  conformance: ["error", "core", "model/model", "store/store"],

  // What people write, and what runs it.
  definition: [
    ...["error", "core", "expression", "message", "pattern", "schedule", "route"],
    ...["model/model", "model/script", "model/tokens", "platform/own-package"],
  ],
  agent: ["error", "core", "definition", "message", "model", "platform", "telemetry", "tool", "carrier/frame"],

  // These put things together. What is below them in this list is out of their reach.
  runtime: PARTS,
  simulator: [...PARTS, "runtime"],
  testing: ["", ...PARTS, "runtime", "simulator"],
  cli: ["", ...PARTS, "runtime", "simulator", "testing"],
};

/** Folders that need each other, and why that stays so. */
export const KNOWN_CYCLES: readonly { between: readonly string[]; why: string }[] = [
  {
    between: ["definition", "pattern"],
    why: "a workflow is written with its pattern's function; the loader lists the built-in ones",
  },
  {
    between: ["definition", "model"],
    why: "a definition with a script is checked with the script's schema; an unknown provider gets the nearest name",
  },
];

/** Implementations of one contract, by how their files begin. They import the contract and never each other; only the
 *  file that opens them by name knows all of them. */
export const ADAPTERS: Readonly<Record<string, { families: readonly string[]; openedBy: string }>> = {
  store: { families: ["memory", "sqlite"], openedBy: "open.ts" },
  model: { families: ["anthropic", "google", "openai.", "openai-compatible", "scripted"], openedBy: "registry.ts" },
  tool: { families: ["code", "http", "mcp"], openedBy: "open.ts" },
};

/** Files outside `platform` that touch the clock, timers or randomness of the machine, and why they may. Everything that
 *  the simulator runs gets them as arguments. */
export const MAY_TOUCH_TIME: Readonly<Record<string, string>> = {
  "src/definition/module-reader-process.ts":
    "bounds a child process that imports somebody's module; no role runs there",
  "src/model/model-error.ts": "a provider's retry-after may be a date, seen from the machine that asked it",
  "src/simulator/world.ts": "a turn of the real event loop, after which every simulated promise has settled",
  "src/testing/run-case.ts": "tells people how long a case took",
  "src/simulator/campaign-main.ts": "prints how many seeds a second were run",
};
