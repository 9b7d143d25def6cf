import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { openFleet } from "../../src/runtime/open-fleet.ts";
import { startDouble } from "../model/double.ts";
import { fixtureText, placeWith } from "./place.ts";
import { startApp } from "./process.ts";

const SECRETS = { CANARY_TOOL_KEY: "canary-tool-7Qw9Zr31", CANARY_MODEL_KEY: "canary-model-3Zx5Lp88" };
/** How a secret may lie in a file: as it is, and as what is often made of it. */
const FORMS = Object.values(SECRETS).flatMap((secret) => [
  secret,
  Buffer.from(secret).toString("base64").replace(/=+$/, ""),
  Buffer.from(secret).toString("hex"),
  encodeURIComponent(secret),
  secret.toUpperCase(),
]);

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

const findings = (where: string, bytes: Buffer) =>
  FORMS.filter((form) => bytes.includes(form)).map((form) => `${form} in ${where}`);

/** A server that gives the key it was shown back in its answer. */
async function echoServer(status: number): Promise<{ url: string; seen: string[] }> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(String(request.headers.authorization));
    response.writeHead(status).end(`you are ${request.headers.authorization}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, seen };
}

test.each(["environment", ".env"])(
  "X8: secrets from the %s are used, and are in no file, log, output or event",
  async (from) => {
    const place = placeWith("queue.ts");
    const [good, bad, double] = await Promise.all([echoServer(200), echoServer(418), startDouble()]);
    onTestFinished(() => double.close());
    double.script(
      { answer: { text: `the key is ${SECRETS.CANARY_MODEL_KEY}` } },
      { status: 401, message: `wrong key ${SECRETS.CANARY_MODEL_KEY}` },
    );
    writeFileSync(
      place.fleet,
      fixtureText("queue.ts").replace("http://127.0.0.1:1/v1", double.baseUrl("openai-compatible")),
    );
    if (from === ".env") {
      writeFileSync(
        join(place.folder, ".env"),
        Object.entries(SECRETS)
          .map(([name, value]) => `${name}=${value}\n`)
          .join(""),
      );
    }
    const app = await startApp(place.folder, { hosts: 1 }, from === ".env" ? {} : SECRETS);
    const here = await openFleet({ fleet: place.folder, join: "only" });
    const told: string[] = [];
    const watching = new AbortController();
    const all = (async () => {
      for await (const notice of here.control.watch(null, watching.signal)) told.push(JSON.stringify(notice));
    })();
    const wanted = [
      ["call", { url: good.url, diary: place.diary }],
      ["call", { url: bad.url, diary: place.diary }],
      ["ask", "hello"],
      ["ask", "hello again"],
    ] as const;
    const ends = [];
    for (const [workflow, input] of wanted) ends.push(await here.result(await here.control.start({ workflow, input })));
    expect(ends.map(({ status }) => status)).toEqual(["completed", "failed", "completed", "failed"]);
    watching.abort();
    await all;
    await here.close();
    await app.kill("SIGTERM");

    // They were used.
    expect(new Set([...good.seen, ...bad.seen])).toEqual(new Set([`Bearer ${SECRETS.CANARY_TOOL_KEY}`]));
    expect(app.output()).toContain("dies with");
    expect(double.requests.map(({ headers }) => headers.authorization)).toEqual([
      `Bearer ${SECRETS.CANARY_MODEL_KEY}`,
      `Bearer ${SECRETS.CANARY_MODEL_KEY}`,
    ]);
    const files = filesIn(place.folder).filter((path) => !path.endsWith(".env"));
    expect(files.map((path) => path.split("/").at(-1))).toEqual(expect.arrayContaining(["store.db", "keys.json"]));
    const found = [
      ...files.flatMap((path) => findings(path, readFileSync(path))),
      ...findings("results", Buffer.from(JSON.stringify(ends))),
      ...findings("notices", Buffer.from(told.join("\n"))),
      ...findings("log and output", Buffer.from(app.output())),
    ];
    expect(found).toEqual([]);
    expect(app.output()).toContain("printed");
  },
  60_000,
);
