import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { agent, fleet, tool } from "../../src/definition/build.ts";
import { pipeline } from "../../src/pattern/pipeline.ts";
import { refuseNetwork } from "../../src/testing/network.ts";
import { fleetTest, recordingOf, runFleet } from "../../src/testing/vitest.ts";

const FLEET = join(import.meta.dirname, "../cli/fixture/fleet.yaml");

// The helper itself: each case of the fixture becomes a test of this file.
await fleetTest(FLEET);

const search = tool({
  description: "Searches",
  effect: "read",
  input: z.object({ query: z.string() }),
  output: z.array(z.string()),
  run: async ({ query }, ctx) => (await ctx.fetch(`http://127.0.0.1:1/${query}`)).json(),
});
const asker = agent({ model: "openai/MODEL", instructions: "Ask.", tools: [search], retry: { attemptsMax: 2 } });
const news = fleet({
  name: "news",
  tools: { search },
  agents: { asker },
  workflows: { ask: pipeline({ stages: [asker] }) },
});

const script = {
  takeMs: 600_000,
  agents: {
    asker: [{ when: "turn == 0", call: { tool: "search", input: { query: "${input}" } } }, { say: "found ${last[0]}" }],
  },
};

test("T4: a live fleet runs on a script and on stubs, at once, with every call of a tool to look at", async () => {
  const run = await runFleet(news, "ask", "tides", { script, stubs: { search: ["a page on ${input.query}"] } });
  expect(run).toMatchObject({ status: "completed", output: "found a page on tides", error: null });
  expect(run.tools).toEqual([
    {
      tool: "search",
      agent: "asker",
      task: "asker",
      input: { query: "tides" },
      output: ["a page on tides"],
      error: null,
    },
  ]);
});

test("T4: without a script a live model is refused, and so is the network", async () => {
  expect(await runFleet(news, "ask", "tides")).toMatchObject({
    status: "failed",
    error: { code: "UNSUPPORTED", message: expect.stringContaining("tests have no network") },
  });
  const run = await runFleet(news, "ask", "tides", { script });
  expect(run.tools[0]?.error?.message).toContain("tests have no network");
});

test("T3: a recorded run is answered from its record, however the fleet has changed; more questions than it had fail", async () => {
  const recorded = await runFleet(news, "ask", "tides", { script, stubs: { search: ["old page"] } });
  const recording = recordingOf(recorded.events);
  expect(recording).toMatchObject({ version: 1, workflow: "ask", input: "tides" });
  const again = await runFleet(news, recording.workflow, recording.input, {
    recording,
    stubs: { search: ["new page"] },
  });
  expect(again).toMatchObject({ status: "completed", output: "found old page" });
  expect(again.tools[0]?.output).toEqual(["new page"]);
  const fewer = { ...recording, answers: { asker: recording.answers.asker?.slice(0, 1) ?? [] } };
  expect(await runFleet(news, "ask", "tides", { recording: fewer, stubs: { search: [] } })).toMatchObject({
    status: "failed",
    error: { code: "MODEL_SCRIPT_EXHAUSTED" },
  });
});

test("a wrong workflow, input or stub is told at once", async () => {
  await expect(runFleet(news, "aks", "tides", { script })).rejects.toMatchObject({ code: "WORKFLOW_UNKNOWN" });
  await expect(runFleet(FLEET, "letters", { text: 5 })).rejects.toMatchObject({ code: "INPUT_INVALID" });
  await expect(runFleet(news, "ask", "tides", { script, stubs: { serach: [] } })).rejects.toMatchObject({
    code: "USAGE",
  });
});

test("a run that does not end within its time is told so", async () => {
  const hanging = agent({ run: () => new Promise<string>(() => {}) });
  const slow = fleet({ name: "slow", agents: { hanging }, workflows: { wait: pipeline({ stages: [hanging] }) } });
  await expect(runFleet(slow, "wait", null, { timeoutMs: 20 })).rejects.toMatchObject({ code: "LIMIT_TIME" });
});

test("T4: no code of a refused process reaches the network, and afterwards it does again", async () => {
  const server = createServer((socket) => socket.end("hello"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`;
  const allow = refuseNetwork();
  const refused = await fetch(url).then(
    () => null,
    (error: Error) => error.cause,
  );
  const unnamed = await fetch("http://example.com/").then(
    () => null,
    (error: Error) => error.cause,
  );
  allow();
  expect(refused).toMatchObject({ code: "UNSUPPORTED" });
  expect(unnamed).toMatchObject({ code: "UNSUPPORTED" });
  // A server that speaks no HTTP was reached: that is another failure.
  const reached = await fetch(url).then(
    () => null,
    (error: Error) => error.cause,
  );
  expect(reached).not.toMatchObject({ code: "UNSUPPORTED" });
  server.close();
});

test("the fixture's cases are the ones that were run", () => {
  expect(readFileSync(join(FLEET, "../letters.test.yaml"), "utf8").match(/- name:/g)).toHaveLength(3);
});
