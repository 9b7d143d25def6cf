import { type ChildProcess, fork } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Fleet } from "../src/index.ts";
import { sibling } from "./compile.ts";
import { CALLS, countUp, loopFleet } from "./loop.ts";
import { makeFolder, type Mode, type StoreKind, Subject } from "./subject.ts";

/** Model calls and tool calls of one conversation. */
export const STEPS = 2 * CALLS;

/** W8: milliseconds of whole conversations through Flotilla and of the same calls without it, in turn. */
export async function conversations(
  mode: Mode,
  store: StoreKind,
  count: number,
): Promise<{ ours: number[]; bare: number[] }> {
  const model = fork(sibling("model-main"));
  const folder = makeFolder();
  try {
    const baseUrl = `http://127.0.0.1:${await portOf(model)}/v1`;
    await using subject = await Subject.open(mode, store, openingOf(baseUrl, folder));
    const ours: number[] = [];
    const bare: number[] = [];
    for (let i = 0; i < count + WARM_UP; i++) {
      ours.push(await timed(() => subject.run("count", "Count.")));
      bare.push(await timed(() => converse(baseUrl)));
    }
    return { ours: ours.slice(WARM_UP), bare: bare.slice(WARM_UP) };
  } finally {
    model.disconnect();
    rmSync(folder, { recursive: true, force: true });
  }
}

const WARM_UP = 5;

/** Hosts load a fleet from its module, which names where this double is. */
function openingOf(baseUrl: string, folder: string) {
  const file = join(folder, "fleet.mjs");
  const loop = pathToFileURL(sibling("loop")).href;
  writeFileSync(file, `import { loopFleet } from "${loop}";\nexport default loopFleet("${baseUrl}");\n`);
  return { value: loopFleet(baseUrl) as Fleet<never>, url: pathToFileURL(file) };
}

interface ToolCall {
  id: string;
  function: { name: string; arguments: string };
}

/** The conversation with nothing around it: fetch, read the stream, call the function. */
async function converse(baseUrl: string): Promise<void> {
  const messages: object[] = [
    { role: "system", content: "Count to ten." },
    { role: "user", content: "Count." },
  ];
  for (;;) {
    const calls = await ask(baseUrl, messages);
    if (calls.length === 0) return;
    messages.push({ role: "assistant", content: null, tool_calls: calls });
    for (const { id, function: asked } of calls) {
      const output = countUp(JSON.parse(asked.arguments) as { n: number });
      messages.push({ role: "tool", tool_call_id: id, content: JSON.stringify(output) });
    }
  }
}

async function ask(baseUrl: string, messages: readonly object[]): Promise<ToolCall[]> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "bench", stream: true, messages }),
  });
  const frames = (await response.text()).split("\n\n").filter((frame) => frame.startsWith("data: {"));
  return frames.flatMap((frame) => {
    const chunk = JSON.parse(frame.slice("data: ".length)) as { choices: { delta: { tool_calls?: ToolCall[] } }[] };
    return chunk.choices.flatMap(({ delta }) => delta.tool_calls ?? []);
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

function portOf(model: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    model.once("message", (port) => resolve(port as number));
    model.once("exit", (code) => reject(new Error(`the model double ended with ${code}`)));
  });
}
