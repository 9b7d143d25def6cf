import { expect, test } from "vitest";
import { gate } from "./desk.ts";
import { opened, rejection } from "./place.ts";

test("X5: an app pauses an agent and lets it go on; what was under way is done again from its last step", async () => {
  const app = await opened();
  const run = await app.start("wait", { text: "held" });
  await gate("held arrived").promise;
  expect(await app.pause({ agent: "wait" }, "the door sticks")).toBe(true);
  expect(await app.holds()).toMatchObject([
    { scope: "agent", name: "wait", why: "the door sticks", by: "api", liftedAt: null },
  ]);
  gate("held").resolve();
  // Others go on.
  expect(await (await app.start("shout", { text: "hey" })).result()).toEqual({ text: "HEY" });
  expect((await run.state()).status).toBe("running");
  expect(await app.resume({ agent: "wait" }, "oiled")).toBe(true);
  expect(await run.result()).toEqual({ text: "held is open" });
  expect((await run.state()).counts.late).toBe(0);
  expect(await app.holds()).toEqual([]);
});

test("X5: a run is paused and resumed, and its state says so", async () => {
  const app = await opened();
  const run = await app.start("wait", { text: "lone" });
  await gate("lone arrived").promise;
  expect(await run.pause("thinking")).toBe(true);
  expect(await run.pause("still")).toBe(false);
  expect((await run.state()).hold).toMatchObject({ why: "thinking", by: "api" });
  gate("lone").resolve();
  expect(await run.resume()).toBe(true);
  expect(await run.resume()).toBe(false);
  expect(await run.result()).toEqual({ text: "lone is open" });
});

test("X5: what starts while its workflow or the fleet is paused is kept, and begins when that is resumed", async () => {
  const app = await opened();
  await app.pause({ fleet: true }, "night");
  await app.pause({ workflow: "shout" }, "quiet");
  const run = await app.start("shout", { text: "psst" });
  await app.resume({ fleet: true });
  expect((await run.state()).usage.steps).toBe(0);
  await app.resume({ workflow: "shout" });
  expect(await run.result()).toEqual({ text: "PSST" });
});

test("a pause wants a reason and a target that exists", async () => {
  const app = await opened();
  await expect(async () => app.pause({ fleet: true }, " ")).rejects.toMatchObject({ code: "OPTION_INVALID" });
  await expect(async () => app.pause({ agents: "wait" } as never, "why")).rejects.toMatchObject({
    code: "OPTION_INVALID",
  });
  expect(await rejection(app.pause({ agent: "wiat" }, "why"))).toMatchObject({ code: "TARGET_UNKNOWN" });
  expect(await app.holds()).toEqual([]);
});
