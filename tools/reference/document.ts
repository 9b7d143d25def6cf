import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commandSections } from "./command-line.ts";
import { errorTables } from "./error-code.ts";
import { fleetFileSections } from "./fleet-file.ts";
import { between } from "./markdown.ts";

/** Documents of which a part is made from the code: path, and the text that they should have. */
export function referenceDocuments(root: string): { path: string; text: string }[] {
  const parts: [path: string, name: string, text: string][] = [
    ["docs/reference/errors.md", "errors", errorTables()],
    ["docs/reference/command-line.md", "commands", commandSections()],
    ["docs/reference/fleet-file.md", "fleet file", fleetFileSections(root)],
  ];
  return parts.map(([path, name, text]) => ({
    path,
    text: between(readFileSync(join(root, path), "utf8"), name, text),
  }));
}
