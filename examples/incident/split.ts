import { resolve } from "node:path";
import { FOLDER } from "./log/file.ts";

/** What this agent needs of its context. */
interface Context {
  tool(name: string, input: unknown): Promise<unknown>;
  status(text: string): void;
}

const WINDOWS = 12;
const WINDOW_LINES_MIN = 50;

/** An agent of code: looks how long the log is, and cuts it into windows for the readers. */
export async function split(context: Context, { log, report = "report.md" }: { log: string; report?: string }) {
  context.status(`measuring ${log}`);
  const { lines } = (await context.tool("log_overview", { log })) as { lines: number };
  const size = Math.max(WINDOW_LINES_MIN, Math.ceil(lines / WINDOWS));
  const windows = Array.from({ length: Math.ceil(lines / size) }, (_, place) => {
    return { log, from: place * size + 1, to: Math.min(lines, (place + 1) * size) };
  });
  return { summary: `${lines} lines in ${windows.length} windows`, report: resolve(FOLDER, report), lines, windows };
}
