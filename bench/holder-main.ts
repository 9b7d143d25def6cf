import { open } from "../src/index.ts";
import fleet from "./fleet.ts";

// A library user's process that is killed while its agent runs: starts the task and tells its run once the agent hangs,
// or, given the run of an earlier process, tells when that run has completed.

process.once("message", (given) => {
  const { store, run } = given as { store: string; run: string | null };
  void (run === null ? hold(store) : resume(store, run)).then((text) => process.send?.(text));
});

async function hold(store: string): Promise<string> {
  const app = await open(fleet, { store });
  const run = await app.start("hold", null);
  for await (const event of run.events()) if (event.type === "step.completed") return run.id;
  throw new Error("the run ended before its process was killed");
}

async function resume(store: string, run: string): Promise<string> {
  const app = await open(fleet, { store });
  await app.run(run).result();
  return run;
}
