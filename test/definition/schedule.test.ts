import { expect, test } from "vitest";
import { z } from "zod";
import { agent, fleet, pipeline } from "../../src/index.ts";

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
  expect(declare({ one: { workflow: "report" } })).toThrow(/does not say when/);
  fleet({
    name: "press",
    agents: { worker },
    workflows,
    // @ts-expect-error -- the input is not what the workflow takes
    schedules: { one: { workflow: "report", cron: "@daily", input: { dya: "today" } } },
  });
});
