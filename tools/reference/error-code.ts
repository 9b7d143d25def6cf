import { catalogue, type ErrorCode } from "../../src/error.ts";
import { code, table } from "./markdown.ts";

const FAMILIES: Readonly<Record<string, string>> = {
  1: "Definitions",
  2: "Models, tools and secrets",
  3: "Runs and tasks",
  4: "Limits",
  5: "Messages and records",
  6: "Store and processes",
  9: "Usage and defects",
};

/** Every error by its number: a table for each family. */
export function errorTables(): string {
  const codes = (Object.keys(catalogue) as ErrorCode[]).sort((a, b) => (catalogue[a].id < catalogue[b].id ? -1 : 1));
  const families = Map.groupBy(codes, (one) => catalogue[one].id.charAt(3));
  return [...families]
    .map(([digit, members]) => {
      const rows = members.map((one) => row(one));
      return `### ${FAMILIES[digit] ?? digit}\n\n${table(["Number", "Code", "Means", "Do", "Class", "Exit"], rows)}`;
    })
    .join("\n\n");
}

function row(one: ErrorCode): string[] {
  const { id, meaning, fix, class: cls, exit } = catalogue[one];
  return [id, code(one), meaning, fix, cls, String(exit)];
}
