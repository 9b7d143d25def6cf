import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { CALLS } from "./loop.ts";

// The model double of W8: speaks the wire format of OpenAI-compatible servers, streams whole answers at once, and asks
// for the tool until it was called often enough. Tells its parent the port.

interface Message {
  role: string;
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { messages } = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { messages: Message[] };
    answer(messages.filter(({ role }) => role === "tool").length, response);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));

function answer(called: number, response: ServerResponse): void {
  const wanted = called >= CALLS ? [] : called === 0 ? [0, 1] : [called];
  const delta =
    wanted.length === 0
      ? { role: "assistant", content: "Ten." }
      : { role: "assistant", tool_calls: wanted.map((n, index) => call(n, index)) };
  const common = { id: `answer-${called}`, object: "chat.completion.chunk", created: 1, model: "bench" };
  const reason = wanted.length === 0 ? "stop" : "tool_calls";
  const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };
  const frames = [
    { ...common, choices: [{ index: 0, delta, finish_reason: null }] },
    { ...common, choices: [{ index: 0, delta: {}, finish_reason: reason }] },
    { ...common, choices: [], usage },
  ];
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(`${frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join("")}data: [DONE]\n\n`);
}

function call(n: number, index: number) {
  return { index, id: `call-${n}`, type: "function", function: { name: "count", arguments: JSON.stringify({ n }) } };
}
