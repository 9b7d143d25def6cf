import { expect, test, vi } from "vitest";
import { agent, type App, debate, fleet, graph, open } from "../../src/index.ts";
import { folder, rejection } from "./place.ts";

const says = (answer: object) => agent({ run: () => answer });
const ann = says({ claim: "ship", evidence: ["the tests pass"] });
const bob = says({ claim: "wait", evidence: ["two tests fail"] });
const eve = says({ claim: "ship", evidence: ["I want to"] });
const agents = { ann, bob, eve };
const ask = (resolve: object, who: ("ann" | "bob" | "eve")[]) =>
  graph({
    tasks: { decide: { agents: who.map((name) => agents[name]), resolve: resolve as { by: "vote" } } },
    result: "${ tasks.decide.output.claim }",
  });
const choosers = fleet({
  name: "choosers",
  agents,
  workflows: {
    tie: ask({ by: "vote", tie: "human", person: { to: ["Ada"] } }, ["ann", "bob"]),
    asked: ask({ by: "human" }, ["ann", "bob", "eve"]),
    agreed: ask({ by: "human" }, ["ann", "eve"]),
    first: ask({ by: "human", person: { deadlineMs: 1, onDeadline: "first" } }, ["ann", "bob"]),
    late: ask({ by: "human", person: { deadlineMs: 1 } }, ["ann", "bob"]),
    short: ask({ by: "human", quorum: 3 }, ["ann", "bob"]),
    talk: debate({ debaters: [ann, bob], rounds: 1, resolve: { by: "negotiation", roundsMax: 1, tie: "human" } }),
  },
});

const waiting = (app: App<typeof choosers>) =>
  vi.waitFor(async () => {
    const [item] = await app.inbox();
    expect(item).toBeDefined();
    return item as NonNullable<typeof item>;
  });

test("C9, F9: a tie goes to a person, who sees the answers with their evidence and chooses one, once", async () => {
  await using app = await open(choosers, { store: "memory:" });
  const run = await app.start("tie", {});
  const item = await waiting(app);
  expect(item).toMatchObject({
    kind: "escalation",
    task: "decide",
    title: "decide: it is a tie: ann (1) against bob (1)",
    options: ["choose", "edit", "skip", "fail", "abort"],
    answers: ["ann", "bob"],
    to: ["Ada"],
    arguments: {
      answers: [
        { side: "ann", answer: { claim: "ship" }, evidence: ["the tests pass"] },
        { side: "bob", answer: { claim: "wait" }, evidence: ["two tests fail"] },
      ],
    },
  });
  expect(await rejection(app.decide(item.id, { choice: "choose", answer: "eve" }))).toMatchObject({
    code: "INBOX_CHOICE",
    hint: "Name one of: ann, bob.",
  });
  expect(await rejection(app.decide(item.id, { choice: "choose" }))).toMatchObject({ code: "INBOX_CHOICE" });
  expect(await rejection(app.decide(item.id, { choice: "retry" }))).toMatchObject({ code: "INBOX_CHOICE" });
  const decided = await app.decide(item.id, { choice: "choose", answer: "bob", by: "Ada", note: "not today" });
  expect(decided.decided).toMatchObject({ choice: "choose", by: "Ada", note: "not today" });
  expect(await run.result()).toBe("wait");
  expect(await rejection(app.decide(item.id, { choice: "fail" }))).toMatchObject({ code: "INBOX_DECIDED" });
});

test("C9: by a person: just where agents do not agree; another answer may be given, or none", async () => {
  await using app = await open(choosers, { store: "memory:" });
  expect(await (await app.start("agreed", {})).result()).toBe("ship");
  const edited = await app.start("asked", {});
  const item = await waiting(app);
  expect(item.answers).toEqual(["ann", "bob", "eve"]);
  await app.decide(item.id, { choice: "edit", output: { claim: "ask again" } });
  expect(await edited.result()).toBe("ask again");
  const refused = await app.start("asked", {});
  await app.decide((await waiting(app)).id, { choice: "fail" });
  expect(await rejection(refused.result())).toMatchObject({ code: "DISAGREEMENT" });
  const few = await app.start("short", {});
  expect(await rejection(few.result())).toMatchObject({ code: "DISAGREEMENT" });
  expect(await app.inbox()).toEqual([]);
});

test("C9, F9: on the deadline the declared default decides: the first answer, or a failure", async () => {
  await using app = await open(choosers, { store: "memory:" });
  expect(await (await app.start("first", {})).result()).toBe("ship");
  expect(await rejection((await app.start("late", {})).result())).toMatchObject({ code: "DISAGREEMENT" });
  const decided = await app.inbox({ state: "decided" });
  expect(decided.map(({ decided: how }) => [how?.choice, how?.by])).toEqual([
    ["fail", "deadline"],
    ["choose", "deadline"],
  ]);
});

test("C9, F12: a negotiation without agreement waits for a person through a restart", async () => {
  const store = `sqlite:${folder()}/store.db`;
  const first = await open(choosers, { store });
  const { id } = await first.start("talk", {});
  const item = await waiting(first);
  await first.close();
  await using app = await open(choosers, { store });
  await app.decide(item.id, { choice: "choose", answer: item.answers?.[1] ?? "" });
  expect(await app.run(id).result()).toMatchObject({ claim: "wait" });
  expect(item.arguments).toMatchObject({ protocol: [{ move: "hold" }, { move: "hold" }] });
});
