import { SAID_CHARACTERS_MAX } from "../../src/carrier/frame.ts";
import { DEFAULT_LIMITS } from "../../src/core/definition.ts";
import { DEFAULTS } from "../../src/definition/default.ts";
import { JSON_DEPTH_MAX } from "../../src/message/canonical.ts";
import { DEFAULT_HOST_OPTIONS } from "../../src/runtime/host-pool.ts";
import { INLINE_PAYLOAD_BYTES_MAX } from "../../src/runtime/journal.ts";
import { RESPONSE_BYTES_MAX } from "../../src/tool/fetch.ts";
import { table } from "./markdown.ts";

const count = (number: number): string => number.toLocaleString("en");
const MIB = 1024 * 1024;

/** Bounds that are constants of the code. */
export function boundTable(): string {
  const { hosts, concurrency, memoryBytesMax, heapMbMax, hangMs } = DEFAULT_HOST_OPTIONS;
  return table(
    ["What", "Bound"],
    [
      ["tasks in a run", `${count(DEFAULT_LIMITS.tasksMax)}, unless \`tasksMax\` says otherwise`],
      ["steps in a run", `${count(DEFAULT_LIMITS.stepsMax)}, unless \`stepsMax\` says otherwise`],
      [
        "content of one step or result",
        `${count(SAID_CHARACTERS_MAX / MIB)} Mi characters; put larger things into files`,
      ],
      ["content kept inside an event", `${count(INLINE_PAYLOAD_BYTES_MAX / 1024)} KiB; larger goes to a blob`],
      ["an answer over HTTP", `${count(RESPONSE_BYTES_MAX / MIB)} MiB`],
      ["nesting of JSON", `${count(JSON_DEPTH_MAX)} levels`],
      ["worker processes", `${count(hosts)} (1 on one core), unless \`--hosts\` says otherwise`],
      ["tasks at a time in each", `${count(concurrency)}, unless \`--concurrency\` says otherwise`],
      [
        "memory of a worker process",
        `${count(memoryBytesMax / MIB)} MiB (looked at on Linux alone); V8's heap ${count(heapMbMax)} MiB`,
      ],
      ["silence of a worker process", `${count(hangMs)} ms; then it counts as hanging`],
      [
        "a model's context window",
        `${count(DEFAULTS.context.windowTokens)} tokens for every model, unless the agent says \`context.windowTokens\``,
      ],
    ],
  );
}
