// The fleet by its file: the user's code runs in worker processes.
import { open } from "flotilla";
import type press from "./fleet.ts";

const app = await open<typeof press>(new URL("./fleet.ts", import.meta.url), { store: `sqlite:${process.argv[2]}` });
const run = await app.start("headline", { text: "the tide is low" });
const { headline } = await run.result();
await app.close();
console.log(JSON.stringify({ headline }));
