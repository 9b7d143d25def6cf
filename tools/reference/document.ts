import { readFileSync } from "node:fs";
import { join } from "node:path";
import { boundTable } from "./bound.ts";
import { commandSections } from "./command-line.ts";
import { environmentTables } from "./environment.ts";
import { errorTables } from "./error-code.ts";
import { eventTables } from "./event.ts";
import { fleetFileSections } from "./fleet-file.ts";
import { llmsText } from "./llms.ts";
import { between } from "./markdown.ts";
import { messageTables } from "./message.ts";
import { publicNames } from "./public-name.ts";

/** Documents that are made from the code, in part or as a whole: path, and the text that they should have. */
export function referenceDocuments(root: string): { path: string; text: string }[] {
  const parts: [path: string, name: string, text: string][] = [
    ["docs/reference/errors.md", "errors", errorTables()],
    ["docs/reference/command-line.md", "commands", commandSections()],
    ["docs/reference/fleet-file.md", "fleet file", fleetFileSections(root)],
    ["docs/limits.md", "bounds", boundTable()],
    ["docs/reference/environment.md", "environment", environmentTables()],
    ["docs/reference/events.md", "events", eventTables()],
    ["docs/reference/messages.md", "messages", messageTables()],
    ["docs/reference/typescript.md", "names", publicNames(root, "src/index.ts")],
  ];
  const made = parts.map(([path, name, text]) => ({
    path,
    text: between(readFileSync(join(root, path), "utf8"), name, text),
  }));
  return [...made, { path: "docs/llms.txt", text: llmsText(root) }];
}
