import { expect, test } from "vitest";
import { StartGate } from "../../src/runtime/start-gate.ts";

const place = (epoch: number, workflow = "w", line = ["x"]) => ({ epoch, workflow, line });
const holding = (scope: "fleet" | "workflow" | "agent", name: string | null, held: boolean, epoch: number) =>
  ({ f: "hold", scope, name, held, epoch, why: "why" }) as const;

test("invariant 6: what is held is not begun, and neither is what was given out before, however late it comes", () => {
  const gate = new StartGate();
  expect(gate.admits("r/a/1", place(0))).toBe(true);
  gate.set(holding("agent", "x", true, 1));
  expect(gate.admits("r/a/1", place(0))).toBe(false);
  expect(gate.admits("r/a/1", place(1))).toBe(false);
  expect(gate.admits("r/b/1", place(0, "w", ["y"]))).toBe(true);
  expect(gate.admits("r/c/1", place(0, "w", ["y", "x"]))).toBe(false);
  gate.set(holding("agent", "x", false, 2));
  expect(gate.admits("r/a/1", place(1))).toBe(false);
  expect(gate.admits("r/a/2", place(2))).toBe(true);
});

test("what was given out after a hold was lifted is begun, though that word comes later", () => {
  const gate = new StartGate();
  gate.set(holding("fleet", null, true, 1));
  expect(gate.admits("r/a/2", place(2))).toBe(true);
  gate.set(holding("fleet", null, false, 2));
  expect(gate.admits("r/a/2", place(2))).toBe(true);
});

test("a word that comes late does not undo a newer one", () => {
  const gate = new StartGate();
  gate.set(holding("workflow", "w", false, 4));
  gate.set(holding("workflow", "w", true, 3));
  expect(gate.admits("r/a/1", place(4))).toBe(true);
  gate.set(holding("fleet", null, true, 5));
  expect(gate.admits("r/a/1", place(5))).toBe(false);
});

test("an attempt that was cancelled before it came is not begun", () => {
  const gate = new StartGate();
  gate.cancelled("r/a/1");
  expect(gate.admits("r/a/1", place(0))).toBe(false);
  expect(gate.admits("r/a/2", place(0))).toBe(true);
  for (let n = 0; n < 2_000; n++) gate.cancelled(`r/many/${n}`);
  expect(gate.admits("r/a/1", place(0)), "it is remembered for a while").toBe(true);
});
