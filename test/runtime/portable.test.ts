import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { agent, fleet } from "../../src/definition/build.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { type App, open } from "../../src/open.ts";
import { chain } from "../../src/runtime/journal.ts";
import { recordedStore, sums, verified } from "./altered-store.ts";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-export-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A recorded store, and the file of one of its runs. */
async function exported(index: number, options: { redact?: boolean; secrets?: Record<string, string> } = {}) {
  const store = await recordedStore();
  const run = store.runs[index] ?? "";
  const file = join(newFolder(), "run.ndjson");
  await using app = await open(sums, { store: `sqlite:${store.path}` });
  const told = await app.exportRun(run, file, options);
  return { run, file, told, store };
}

/** An empty store, and the app on it. */
async function elsewhere(): Promise<{ path: string; app: App<typeof sums> }> {
  const path = join(newFolder(), "store.db");
  const app = await open(sums, { store: `sqlite:${path}` });
  onTestFinished(() => app.close());
  return { path, app };
}

test("F11: an exported run is taken in elsewhere as a record: same events, verified, on record, once", async () => {
  const { run, file, told } = await exported(3);
  expect(told).toMatchObject({ run, runs: 1, leftOut: 0 });
  expect(statSync(file).mode & 0o077).toBe(0);
  const { path, app } = await elsewhere();
  expect(await app.importRun(file)).toEqual({ run, fleet: "sums", runs: 1, events: told.events, leftOut: 0 });
  expect(await app.run(run).result()).toContain("word word");
  expect(await app.importRun(file)).toMatchObject({ runs: 0, events: 0 });
  await app.close();
  const { problems, result } = await verified(path);
  expect(problems).toEqual({});
  expect(result).toMatchObject({ journals: 2, signatures: { messages: 0, unsignedRuns: 0 } });
});

test("F11: an imported run is never resumed or found by its idempotency key, and one can fork from it", async () => {
  const { run, file } = await exported(2);
  const { path, app } = await elsewhere();
  await app.importRun(file);
  const own = await app.start("sum", { n: 3 }, { idempotencyKey: "third" });
  expect(own.id).not.toBe(run);
  await own.result();
  const before = await app.run(run).state();
  await app.run(run).stop("no");
  await expect(app.run(run).setFact("x", 1, { why: "no" })).rejects.toMatchObject({ code: "RUN_ENDED" });
  expect((await app.run(run).state()).version).toBe(before.version);
  const fork = await app.fork(run, { at: 1 });
  expect(await fork.result()).toBe(await own.result());
  await app.close();
  expect((await verified(path)).problems).toEqual({});
});

test("F11, X8: redacted, the content is left out and the chain still verifies; what is missing is said", async () => {
  const { run, file, told } = await exported(0, { redact: true });
  expect(told.leftOut).toBeGreaterThan(4);
  expect(readFileSync(file, "utf8")).not.toContain("it is");
  const { path, app } = await elsewhere();
  expect(await app.importRun(file)).toMatchObject({ runs: 1, leftOut: told.leftOut });
  await expect(app.run(run).result()).rejects.toMatchObject({ code: "PAYLOAD_ERASED" });
  await expect(app.fork(run, { at: 1 })).rejects.toMatchObject({ code: "FORK_INVALID" });
  await app.close();
  const { problems, result } = await verified(path);
  expect(problems).toEqual({});
  expect(result.erased).toBe(told.leftOut);
});

test("X8: content that holds a secret is left out, and no other", async () => {
  const { file, told } = await exported(0, { secrets: { TOKEN: "it is" } });
  expect(told.leftOut).toBeGreaterThan(0);
  expect(told.leftOut).toBeLessThan(told.events);
  expect(readFileSync(file, "utf8")).not.toContain(Buffer.from("it is").toString("base64").slice(0, 6));
  const { app } = await elsewhere();
  expect(await app.importRun(file)).toMatchObject({ leftOut: told.leftOut });
});

test("X8: a secret in what the chain is over, or in the definition, cannot be left out: nothing is exported", async () => {
  const store = await recordedStore();
  const file = join(newFolder(), "run.ndjson");
  await using app = await open(sums, { store: `sqlite:${store.path}` });
  const secrets = { TOKEN: "doubler" };
  const asked = app.exportRun(store.runs[0] ?? "", file, { secrets });
  await expect(asked).rejects.toMatchObject({ code: "EXPORT_REFUSED" });
  expect(statSync(file, { throwIfNoEntry: false })).toBeUndefined();
});

test("X6: an altered file is refused, naming the first event; nothing is stored", async () => {
  const { run, file, told } = await exported(0);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const events = lines.flatMap((line, at) => (line.startsWith('{"kind":"event"') ? [at] : []));
  const { app } = await elsewhere();
  const refused = async (change: (lines: string[]) => string[], message: string, details: object = {}) => {
    writeFileSync(file, `${change([...lines]).join("\n")}\n`);
    await expect(app.importRun(file)).rejects.toMatchObject({
      code: "IMPORT_INVALID",
      message: expect.stringContaining(message) as string,
      details,
    });
  };
  const third = events[2] ?? 0;
  const edited = (edit: (event: { text: string; hash: string; payload: string | null }) => object) => (all: string[]) =>
    all.map((line, at) => (at === third ? JSON.stringify({ ...JSON.parse(line), ...edit(JSON.parse(line)) }) : line));
  await refused(
    edited(({ text }) => ({ text: text.replace('"v":1', '"v":1 ') })),
    "event 3 of",
    { run, version: 3 },
  );
  await refused(
    edited(() => ({ hash: "0".repeat(64) })),
    "event 3 of",
    { run, version: 3 },
  );
  const first = events[0] ?? 0;
  const payload = (all: string[]) =>
    all.map((line, at) =>
      at === first ? JSON.stringify({ ...JSON.parse(line), payload: Buffer.alloc(40).toString("base64") }) : line,
    );
  await refused(payload, "its content is not what was recorded", { run, version: 1 });
  await refused((all) => all.toSpliced(third, 1), "event 3 of", { version: 3 });
  await refused((all) => all.slice(0, -1), `event ${told.events} of ${run} is missing`, { version: told.events });
  await refused((all) => all.toSpliced(1, 1), "which");
  await refused((all) => all.map((line) => line.replace('"kind":"definition","hash":"', "$&0")), "line 2");
  await refused((all) => [(all[0] ?? "").replaceAll(run, "fleet"), ...all.slice(1)], "fleet is no run's id");
  expect(await app.fleet.store.runs({ limit: 9 })).toEqual([]);
});

test("F11: files that hold anything else are refused, and say so", async () => {
  const { app } = await elsewhere();
  const folder = newFolder();
  const garbage: (string | Uint8Array)[] = [
    "",
    "\n\n",
    "{}",
    "null",
    "[1]",
    '{"kind":"run"}',
    "\u0000\uffff".repeat(999),
  ];
  garbage.push(Buffer.from([0xff, 0xfe, 0, 1, 2]), `{"kind":"run","format":2}\n`, "{".repeat(5_000));
  for (const content of garbage) {
    const file = join(folder, "garbage");
    writeFileSync(file, content);
    await expect(app.importRun(file)).rejects.toMatchObject({ code: "IMPORT_INVALID" });
  }
  for (const file of [folder, join(folder, "none")])
    await expect(app.importRun(file)).rejects.toMatchObject({ code: "IMPORT_INVALID" });
});

test("F11: every flipped byte behind the header is noticed, or changes nothing", async () => {
  const { file, run, told } = await exported(0);
  const whole = readFileSync(file);
  const { path, app } = await elsewhere();
  let refused = 0;
  for (let at = whole.indexOf("\n"); at < whole.length - 1; at += 397) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    const outcome = await app.importRun(file).catch((error: unknown) => error);
    if (!(outcome instanceof Error)) continue; // Spare bits at the end of base64.
    expect(outcome).toMatchObject({ code: "IMPORT_INVALID" });
    refused += 1;
  }
  expect(refused).toBeGreaterThan(10);
  writeFileSync(file, whole);
  expect(await app.importRun(file)).toMatchObject({ run });
  expect((await app.run(run).state()).version).toBe(told.events);
  await app.close();
  expect((await verified(path)).problems).toEqual({});
});

test("F11: another run of the same id is refused, also one whose chain holds", async () => {
  const { run, file } = await exported(0);
  const { app } = await elsewhere();
  await app.importRun(file);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const header = JSON.parse(lines[0] ?? "") as { runs: { head: string }[] };
  const last = JSON.parse(lines.at(-1) ?? "") as { text: string; hash: string };
  const before = JSON.parse(lines.at(-2) ?? "") as { hash: string };
  const text = last.text.replace(/^\{"at":(\d+)/, (_, at: string) => `{"at":${Number(at) + 1}`);
  const head = Buffer.from(chain(Buffer.from(before.hash, "hex"), Buffer.from(text))).toString("hex");
  const runs = [{ ...header.runs[0], head }];
  const forged = [
    { ...header, runs },
    ...lines.slice(1, -1).map((line) => JSON.parse(line)),
    { ...last, text, hash: head },
  ];
  writeFileSync(file, forged.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await expect(app.importRun(file)).rejects.toMatchObject({ code: "IMPORT_REFUSED", details: { run } });
  await expect(app.exportRun("r-none", `${file}.2`)).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
  await expect(app.exportRun(run, file)).rejects.toMatchObject({ code: "EXPORT_REFUSED" });
});

test("X6: what happens to an imported run afterwards, or to its record, is named", async () => {
  const { run, file } = await exported(0, { redact: true });
  const { path, app } = await elsewhere();
  await app.importRun(file);
  await app.close();
  const altered = async (sql: string) => {
    const db = new DatabaseSync(path);
    db.exec(`BEGIN; ${sql}`);
    db.exec("COMMIT");
    db.close();
    return (await verified(path)).problems;
  };
  const journal = `journal = (SELECT no FROM journal WHERE id = '${run}')`;
  expect(await altered(`UPDATE journal SET idempotency_key = 'x' WHERE id = '${run}'`)).toMatchObject({
    [run]: { kind: "row" },
  });
  expect(await altered(`DELETE FROM event WHERE ${journal} AND version > 4`)).toMatchObject({
    [run]: { kind: "truncated", version: 5 },
  });
});

const worker = agent({ run: () => "done" });
const asker = agent({ run: () => new Promise<string>(() => {}) });
const small = pipeline({ stages: [worker] });
const nested = fleet({
  name: "nested",
  agents: { worker, asker },
  workflows: {
    small,
    big: pipeline({ stages: [small, worker] }),
    endless: pipeline({ stages: [asker] }),
  },
});

test("F11: child runs go along, and come back as such; a child alone and what still runs are refused", async () => {
  const folder = newFolder();
  const file = join(folder, "run.ndjson");
  await using app = await open(nested, { store: `sqlite:${join(folder, "a.db")}` });
  const run = await app.start("big", {});
  await run.result();
  expect(await app.exportRun(run.id, file)).toMatchObject({ runs: 2 });
  await expect(app.exportRun(`${run.id}.1`, `${file}.2`)).rejects.toMatchObject({ code: "EXPORT_REFUSED" });
  const endless = await app.start("endless", {});
  await expect(app.exportRun(endless.id, `${file}.2`)).rejects.toMatchObject({ code: "EXPORT_REFUSED" });
  await endless.stop();
  await using other = await open(nested, { store: `sqlite:${join(folder, "b.db")}` });
  expect(await other.importRun(file)).toMatchObject({ run: run.id, runs: 2 });
  expect((await other.run(`${run.id}.1`).state()).parent).toMatchObject({ run: run.id });
});
