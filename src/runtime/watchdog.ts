import { Worker } from "node:worker_threads";

/** Looked at this often, in milliseconds: well under the second within which a host must be gone. */
const LOOK_EVERY_MS = 200;

const CODE = `
  const { parentPort } = require("node:worker_threads");
  const parent = process.ppid;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    Atomics.wait(cell, 0, 0, ${LOOK_EVERY_MS});
    if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
  }
`;

/** Kills this process within a second of its parent's death, also while its own code loops without end and could
 *  never notice that the pipe is gone (issue 2 line 4). A thread of its own, since nothing else still runs then. */
export function startWatchdog(): void {
  const thread = new Worker(CODE, {
    eval: true,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 2, stackSizeMb: 1 },
  });
  thread.unref();
}
