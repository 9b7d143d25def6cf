import { describe, expect, test } from "vitest";
import { isFlotillaError, type VersionedEvent } from "../../src/index.ts";
import { gate, save, written } from "./desk.ts";
import { opened, rejection } from "./place.ts";

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const types = (events: readonly VersionedEvent[]) => events.map(({ type }) => type);

describe("a run", () => {
  test("gives its result, however late it is asked for, and as often", async () => {
    const app = await opened();
    const run = await app.start("shout", { text: "ahoy" });
    expect(await run.result()).toEqual({ text: "AHOY" });
    expect(await run.result()).toEqual({ text: "AHOY" });
    expect(await app.run(run.id).result()).toEqual({ text: "AHOY" });
    expect((await run.state()).status).toBe("completed");
  });

  test("I10: tells its events live, and the same ones again from the record, from any place on", async () => {
    const app = await opened();
    const run = await app.start("shout", { text: "ahoy" });
    const live = await all(run.events());
    expect(types(live)[0]).toBe("run.started");
    expect(types(live).at(-1)).toBe("run.completed");
    expect(live.map(({ version }) => version)).toEqual(live.map((_, index) => index + 1));
    expect(await all(run.events())).toEqual(live);
    expect(await all(run.events({ after: 3 }))).toEqual(live.slice(3));
    expect(await all(run.events({ after: live.length }))).toEqual([]);
  });

  test("can be watched by many at once; one that breaks off or aborts ends nothing", async () => {
    const app = await opened();
    const run = await app.start("wait", { text: "watched" });
    const abort = new AbortController();
    const aborted = all(run.events({ signal: abort.signal }));
    const whole = [all(run.events()), all(run.events())];
    for await (const { type } of run.events()) if (type === "step.completed") break;
    abort.abort();
    expect(types(await aborted)).not.toContain("run.completed");
    gate("watched").resolve();
    const [first, second] = await Promise.all(whole);
    expect(first).toEqual(second);
    expect(await run.result()).toEqual({ text: "watched is open" });
  });

  test("gives up waiting for a result when the signal says so, with its reason", async () => {
    const app = await opened();
    const run = await app.start("wait", { text: "slow" });
    const reason = new Error("the visitor left");
    expect(await rejection(run.result({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    gate("slow").resolve();
    expect(await run.result()).toEqual({ text: "slow is open" });
  });

  test("I10: streams the text of models, and ends with the run; of one that has ended there is nothing to stream", async () => {
    const app = await opened();
    const run = await app.start("speak", { text: "now" });
    const streamed = await all(run.tokens());
    expect(streamed.every(({ task, agent }) => task === "speaker" && agent === "speaker")).toBe(true);
    expect("one two three four five").toContain(streamed.map(({ text }) => text).join(""));
    expect(await run.result()).toBe("one two three four five");
    expect(await all(run.tokens())).toEqual([]);
  });

  test("is stopped: its result says who did it and why, and stopping again changes nothing", async () => {
    const app = await opened();
    const run = await app.start("wait", { text: "never" });
    await run.stop("changed my mind");
    await run.stop("again");
    const error = await rejection(run.result());
    expect(error).toMatchObject({ code: "CANCELLED", class: "business", details: { run: run.id } });
    expect(error.message).toBe("the run was stopped by api: changed my mind");
  });
});

describe("a run that fails", () => {
  test("throws what failed it: an error of the catalogue, with class, hint, the agent, the run, and where it was thrown", async () => {
    const app = await opened();
    const run = await app.start("fail", { text: "the map" });
    const error = await rejection(run.result());
    expect(isFlotillaError(error)).toBe(true);
    expect(error).toMatchObject({
      name: "FlotillaError",
      code: "AGENT_FAILED",
      id: "FLT312",
      class: "permanent",
      message: "broken: TypeError: cannot read the map",
      hint: expect.stringMatching(/\S/) as string,
      details: { run: run.id, task: "broken", stack: expect.stringContaining("desk.ts") as string },
    });
  });

  test("says what an agent's code returned that does not fit, and where", async () => {
    const app = await opened();
    const error = await rejection((await app.start("stray", { text: "x" })).result());
    expect(error).toMatchObject({
      code: "OUTPUT_INVALID",
      message:
        "what the agent's run() returned does not match its schema: /text: Invalid input: expected string, received number",
      hint: "Correct what it returns, or its output schema.",
      details: { task: "stray" },
    });
  });

  test("F7: fails rather than give an output that its workflow does not promise", async () => {
    const app = await opened();
    const error = await rejection((await app.start("lie", { text: "truth" })).result());
    expect(error).toMatchObject({ code: "OUTPUT_INVALID", class: "permanent" });
    expect(error.message).toBe(
      'the run\'s output does not match the output schema of workflow "lie": /text must be string',
    );
  });

  test.each(["result", "state", "stop"] as const)("%s of one that never was says so", async (ask) => {
    const run = (await opened()).run("r-none");
    expect(await rejection(run[ask]())).toMatchObject({ code: "RUN_UNKNOWN", message: "there is no run r-none" });
  });

  test("events and tokens of one that never was say so", async () => {
    const run = (await opened()).run("r-none");
    expect(await rejection(all(run.events()))).toMatchObject({ code: "RUN_UNKNOWN" });
    expect(await rejection(all(run.tokens()))).toMatchObject({ code: "RUN_UNKNOWN" });
  });
});

describe("what agents do in this process", () => {
  test("one agent serves several tasks of a run", async () => {
    const app = await opened();
    expect(await (await app.start("twice", { text: "echo" })).result()).toEqual({ text: "ECHO" });
    expect(await (await app.start("both", { text: "left" })).result()).toEqual({ text: "LEFT RIGHT" });
  });

  test("F12: a sleeping agent holds nothing, wakes, and goes on where it was", async () => {
    const app = await opened();
    const run = await app.start("nap", { text: "zzz" });
    const events = types(await all(run.events()));
    expect(events.filter((type) => type === "task.suspended" || type === "task.woken")).toEqual([
      "task.suspended",
      "task.woken",
    ]);
    expect(events.filter((type) => type === "step.completed")).toHaveLength(3);
    expect(await run.result()).toEqual({ text: "zzz", steps: 2 });
  });

  test("F13: a tool that writes is written ahead, and is given a key of its own for each call", async () => {
    const app = await opened();
    const runs = await Promise.all(["one", "two"].map((text) => app.start("write", { text })));
    for (const run of runs) {
      expect(await run.result()).toEqual({ lines: 1 });
      const steps = types(await all(run.events())).filter((type) => type.startsWith("step."));
      expect(steps).toEqual(["step.started", "step.completed"]);
    }
    expect([...written.values()].flat().toSorted()).toEqual(["one", "two"]);
    expect(save).toBeDefined();
  });

  test("ctx.model asks the scripted model, which says that it is one", async () => {
    const app = await opened();
    const run = await app.start("ask", { text: "hello" });
    expect(await run.result()).toEqual({ said: "you said hello", simulated: true });
    expect((await run.state()).usage).toMatchObject({ steps: 1, simulated: true });
  });
});
