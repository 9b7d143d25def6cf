import { expect, test } from "vitest";
import { flotilla, newProject } from "./command-line.ts";

test("K4: spend by agent, workflow, model, day and run; simulated and unpriced calls are never shown as free", async () => {
  const folder = newProject();
  expect(await flotilla(folder, ["cost", "--json"])).toMatchObject({ code: 0, stdout: "[]\n" });
  expect((await flotilla(folder, ["run", "letters", "--input", "text=ab"])).code).toBe(0);
  const [by, shown, later, wrong, when] = await Promise.all([
    Promise.all(
      ["agent", "workflow", "model", "day", "run"].map(async (what) => {
        const { stdout } = await flotilla(folder, ["cost", "--by", what, "--since", "1d", "--json"]);
        return JSON.parse(stdout) as Record<string, unknown>[];
      }),
    ),
    flotilla(folder, ["cost"]),
    flotilla(folder, ["cost", "--since", "2999-01-01", "--json"]),
    flotilla(folder, ["cost", "--by", "modle"]),
    flotilla(folder, ["cost", "--since", "yesterday"]),
  ]);
  const [agents = [], workflows = [], models = [], days = [], runs = []] = by;
  expect(workflows).toMatchObject([{ workflow: "letters" }]);
  expect(models).toMatchObject([{ model: "scripted", costMicroUsd: 0 }]);
  expect(days).toMatchObject([{ day: expect.stringMatching(/^\d{4}-\d{2}-\d{2}$/) as string }]);
  expect(runs).toHaveLength(1);
  const calls = (rows: Record<string, unknown>[]) => rows.reduce((sum, row) => sum + Number(row.calls), 0);
  expect(calls(models)).toBeGreaterThan(0);
  for (const rows of [agents, workflows, days, runs]) expect(calls(rows)).toBe(calls(models));
  expect(models[0]?.simulated).toBe(models[0]?.calls);
  expect(shown.stdout).toMatch(/scripted .* simulated/);
  expect(later.stdout).toBe("[]\n");
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean model?") as string });
  expect(when).toMatchObject({ code: 2, stderr: expect.stringContaining("7d") as string });
});
