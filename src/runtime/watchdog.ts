import { Worker } from "node:worker_threads";

/** Looked at this often, in milliseconds: well under the second within which a host must be gone. */
const LOOK_EVERY_MS = 200;

const CODE = `
  const { workerData: parent } = require("node:worker_threads");
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    Atomics.wait(cell, 0, 0, ${LOOK_EVERY_MS});
    if (process.ppid === parent) continue;
    try {
      process.kill(-process.pid, "SIGKILL");
    } finally {
      process.kill(process.pid, "SIGKILL");
    }
  }
`;

/** Kills this process and what it started, when it leads a group of its own. */
export function endWithGroup(): void {
  try {
    process.kill(-process.pid, "SIGKILL");
  } catch (error) {
    // It leads no group, or there are none here.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EINVAL" && code !== "ENOSYS") throw error;
  }
}

/** Kills this process within a second of its parent's death, also while its own code loops without end and could
 *  never notice that the pipe is gone (issue 2 line 4). A thread of its own, since nothing else still runs then.
 *  `parent` is the pid of who started this process: it may be gone before anybody looks. */
export function startWatchdog(parent: number): void {
  const thread = new Worker(CODE, {
    eval: true,
    workerData: parent,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 2, stackSizeMb: 1 },
  });
  thread.unref();
}
