import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { unpinnedTools, writePins } from "../../src/cli/pin.ts";
import { loadFleet } from "../../src/definition/load.ts";

const SERVER = join(import.meta.dirname, "../tool/fixture/mcp-stdio.ts");

function newFleet(mcp: string): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-pin-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "fleet.yaml");
  writeFileSync(
    file,
    `name: pinned # kept
mcpServers:
  fixture: { command: ${JSON.stringify(process.execPath)}, args: [${JSON.stringify(SERVER)}] }
tools:
  add:
    effect: read
    ${mcp}
agents:
  adder: { model: openai/MODEL, instructions: Add., tools: [add] }
workflows:
  sum: { pattern: pipeline, stages: [adder] }
`,
  );
  return file;
}

async function pin(file: string) {
  const unpinned = await unpinnedTools((await loadFleet(file)).definition, file, process.env);
  return { unpinned, written: await writePins(file, unpinned) };
}

test.each(["mcp: { server: fixture, tool: add }", "mcp:\n      server: fixture\n      tool: add"])(
  "check --fix pins a tool that was never looked at: %s",
  async (mcp) => {
    const file = newFleet(mcp);
    const { unpinned, written } = await pin(file);
    expect(unpinned).toMatchObject([{ name: "add", approved: null, now: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
    expect(written).toMatchObject([{ from: "(no pin)", to: unpinned[0]?.now }]);
    expect((await loadFleet(file)).definition.tools.add).toMatchObject({ pin: unpinned[0]?.now });
    expect(readFileSync(file, "utf8")).toContain("name: pinned # kept");
    expect(await pin(file)).toEqual({ unpinned: [], written: [] });
  },
);

test("X3: a tool that changed since it was approved is named, and pinned anew only when asked", async () => {
  const before = "0".repeat(64);
  const file = newFleet(`mcp: { server: fixture, tool: add, pin: "${before}" }`);
  const { unpinned, written } = await pin(file);
  expect(unpinned).toMatchObject([{ name: "add", approved: before }]);
  expect(written).toMatchObject([{ from: before, to: unpinned[0]?.now }]);
  expect(await pin(file)).toEqual({ unpinned: [], written: [] });
});
