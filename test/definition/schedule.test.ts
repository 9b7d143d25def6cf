import { expect, test } from "vitest";
import { z } from "zod";
import { agent, fleet, pipeline } from "../../src/index.ts";
import { problemsIn } from "./folder.ts";

const worker = agent({ run: () => null });
const workflows = {
  report: pipeline({ input: z.object({ day: z.string() }), stages: [worker] }),
  sweep: pipeline({ stages: [worker] }),
};

test("I8: a fleet in TypeScript declares schedules, with their defaults", () => {
  const { definition } = fleet({
    name: "press",
    agents: { worker },
    workflows,
    schedules: {
      daily: { workflow: "report", cron: "@daily", input: { day: "today" }, zone: "Europe/Berlin", catchUp: "all" },
      launch: { workflow: "sweep", at: "2031-01-01T09:00" },
    },
  });
  expect(definition.schedules).toEqual({
    daily: {
      workflow: "report",
      input: { day: "today" },
      cron: "@daily",
      at: null,
      zone: "Europe/Berlin",
      catchUp: "all",
      catchUpMax: 10,
      overlap: "skip",
    },
    launch: {
      workflow: "sweep",
      input: {},
      cron: null,
      at: "2031-01-01T09:00",
      zone: "UTC",
      catchUp: "last",
      catchUpMax: 10,
      overlap: "skip",
    },
  });
});

test("without schedules a definition says nothing of them: its hash stays what it was", () => {
  expect(fleet({ name: "press", agents: { worker }, workflows }).definition).not.toHaveProperty("schedules");
});

test("what a schedule starts, and with what, is checked by the compiler and at once", () => {
  const declare = (schedules: object) => () =>
    fleet({ name: "press", agents: { worker }, workflows, schedules: schedules as never });
  expect(declare({ one: { workflow: "reprot", cron: "@daily" } })).toThrow(/reprot/);
  expect(declare({ one: { workflow: "report", cron: "every day" } })).toThrow(/5 fields/);
  expect(declare({ one: { workflow: "sweep" } })).toThrow(/does not say when/);
  const wrong = () =>
    fleet({
      name: "press",
      agents: { worker },
      workflows,
      // @ts-expect-error -- the input is not what the workflow takes
      schedules: { one: { workflow: "report", cron: "@daily", input: { dya: "today" } } },
    });
  expect(wrong).toThrow(/schedule "one": its input is not what workflow "report" takes/);
});

test("I8: in YAML too, an input that would start nothing is told of with its place, and so is one that is missing", async () => {
  const problems = await problemsIn(`name: press
providers: { scripted: { script: { agents: { editor: [{ say: done }] } } } }
agents: { editor: { model: scripted, instructions: Edit. } }
workflows:
  report:
    pattern: pipeline
    stages: [editor]
    input: { type: object, required: [pages], properties: { pages: { type: integer } } }
schedules:
  wrong: { workflow: report, cron: "@daily", input: { pages: many } }
  none: { workflow: report, cron: "@daily" }
  right: { workflow: report, cron: "@daily", input: { pages: 2 } }
`);
  expect(problems).toMatchObject([
    { id: "FLT104", line: 10, message: expect.stringContaining("/pages must be integer") },
    { id: "FLT104", line: 11, message: expect.stringContaining("required property 'pages'") },
  ]);
});
