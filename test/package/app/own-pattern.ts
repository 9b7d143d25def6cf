// The same pattern in this process, in worker processes, and in virtual time under faults.
import { open } from "flotilla";
import { simulate } from "flotilla/simulator";
import ladder from "./cascade.ts";

async function answer(fleet: typeof ladder | URL, store: string): Promise<unknown> {
  const app = await open(fleet as typeof ladder, { store: `sqlite:${store}` });
  try {
    return await (await app.start("ask", "why")).result();
  } finally {
    await app.close();
  }
}

const folder = process.argv[2] ?? "";
const module = new URL("./cascade.ts", import.meta.url);
const { runs } = await simulate(ladder, "ask", "why", { runs: 5, faults: ["host.crash=20%"] });
console.log(
  JSON.stringify({
    library: await answer(ladder, `${folder}/library/store.db`),
    hosts: await answer(module, `${folder}/hosts/store.db`),
    simulated: [...new Set(runs.map(({ outcome, output }) => `${outcome}: ${JSON.stringify(output)}`))],
    violations: runs.flatMap(({ violations }) => violations),
  }),
);
