// Inside a web framework: the app is opened with the server, again on a hot reload, and closed with the server.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { serve } from "@hono/node-server";
import { type App, open } from "flotilla";
import { Hono } from "hono";
import press from "../fleet.ts";

const store = `sqlite:${process.argv[2]}`;

function routes(app: App<typeof press>): Hono {
  return new Hono().post("/headlines", async (context) => {
    const { text } = await context.req.json<{ text: string }>();
    const run = await app.start(
      "headline",
      { text },
      { idempotencyKey: context.req.header("idempotency-key") ?? text },
    );
    return context.json({ id: run.id, ...(await run.result()) });
  });
}

const first = await open(press, { store });
const again = await open(press, { store }); // what a reloaded module does, while the old one is still up
const server = serve({ fetch: routes(again).fetch, port: 0, hostname: "127.0.0.1" });
await once(server, "listening");
const { port } = server.address() as AddressInfo;

async function post(text: string): Promise<{ id: string; headline: string }> {
  const body = JSON.stringify({ text });
  const response = await fetch(`http://127.0.0.1:${port}/headlines`, { method: "POST", body });
  return (await response.json()) as { id: string; headline: string };
}

const answers = await Promise.all(["one", "two", "three", "one"].map(post));
const headlines = answers.map(({ headline }) => headline);
console.log(JSON.stringify({ headlines, runs: new Set(answers.map(({ id }) => id)).size }));
await first.close();
await again.close();
server.close();
