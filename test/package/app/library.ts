// The fleet as a value: everything runs in this process.
import { open } from "flotilla";
import press from "./fleet.ts";

const signals = () => process.eventNames().filter((name) => String(name).startsWith("SIG")).length;
const before = { signals: signals(), globals: Object.keys(globalThis).length };

await using app = await open(press, { store: `sqlite:${process.argv[2]}` });
const run = await app.start("headline", { text: "the tide is high" }, { idempotencyKey: "tide" });
const again = await app.start("headline", { text: "the tide is high" }, { idempotencyKey: "tide" });

const types: string[] = [];
for await (const event of run.events()) types.push(event.type);

const { headline }: { headline: string } = await run.result();
// @ts-expect-error the input is typed: there is no such key
const refused = await app.start("headline", { txt: "the tide" }).then(
  () => "started",
  (error: { code: string }) => error.code,
);

const stopped = await app.start("headline", { text: "the ebb" });
await stopped.stop("changed my mind");
const outcome = await stopped.result().then(
  () => "completed",
  (error: { code: string }) => error.code,
);

const after = { signals: signals(), globals: Object.keys(globalThis).length };
console.log(
  JSON.stringify({
    headline,
    types,
    same: run.id === again.id,
    refused,
    outcome,
    untouched: JSON.stringify(before) === JSON.stringify(after),
  }),
);
