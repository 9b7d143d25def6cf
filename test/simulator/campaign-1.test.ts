import { test } from "vitest";
import { complete, seeds, sound } from "./campaign.ts";

test("T1: a thousand seeds over all patterns keep every promise, and take every fault and way of recovery", {
  timeout: 600_000,
}, async () => {
  complete(await sound(seeds(1, 1_000)));
});

test("T1: seeds on the real sqlite adapter keep every promise", { timeout: 600_000 }, async () => {
  await sound(seeds(1, 25), "sqlite");
});
