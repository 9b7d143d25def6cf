import { resolve } from "node:path";
import { FOLDER } from "./git/git.ts";

/** What this agent needs of its context. */
interface Context {
  tool(name: string, input: unknown): Promise<unknown>;
  status(text: string): void;
}

interface Asked {
  repo?: string;
  range?: string;
  review?: string;
  sarif?: string;
  failOn?: string;
}

/** An agent of code: finds the change that is to be reviewed and measures it, before any model is asked. Fills in what
 *  was left out; the command line does so too. */
export async function survey(context: Context, asked: Asked) {
  const { repo = ".", range = "", review = "review.md", sarif = "review.sarif", failOn = "never" } = asked;
  context.status(`measuring ${range === "" ? "the last change" : range} of ${repo}`);
  const change = (await context.tool("change_overview", { repo, range })) as { files: number; chosen: string };
  const summary = `${change.files} files changed in ${change.chosen}`;
  return { ...change, summary, review: resolve(FOLDER, review), sarif: resolve(FOLDER, sarif), failOn };
}
