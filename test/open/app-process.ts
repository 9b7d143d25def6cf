// A process with an app: `node app-process.ts STORE` owns the store and says the id of a run that waits in it;
// `node app-process.ts STORE RUN` joins the owner, waits for that run, and says how it went.
import { open, type Run, type VersionedEvent } from "../../src/index.ts";
import { desk, gate } from "./desk.ts";

const [store = "", id] = process.argv.slice(2);
const app = await open(desk, { store });
if (id === undefined) {
  const run = await app.start("wait", { text: "inherited" });
  await gate("inherited arrived").promise;
  console.log(run.id);
} else {
  gate("inherited").resolve();
  const run = app.run<{ text: string }>(id);
  const waiting = Promise.all([run.result(), seen(run)]);
  console.log((await app.fleet.control.info()).pid === process.pid ? "not joined" : "joined");
  const [result, { steps, versions }] = await waiting;
  const next = await (await app.start("shout", { text: "mine now" })).result();
  console.log(JSON.stringify({ owner: app.fleet.owner, result, steps, versions, next }));
  await app.close();
}

async function seen(run: Run<unknown>): Promise<{ steps: number; versions: boolean }> {
  const events: VersionedEvent[] = [];
  for await (const event of run.events()) events.push(event);
  return {
    steps: events.filter(({ type }) => type === "step.completed").length,
    versions: events.every(({ version }, index) => version === index + 1),
  };
}
