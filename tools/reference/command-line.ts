import { COMMANDS, type CommandSpec, optionsOf } from "../../src/cli/program.ts";
import { code, table } from "./markdown.ts";

/** Every command with its flags and examples, from the same table that the command line is made of. */
export function commandSections(): string {
  const rows = COMMANDS.map(({ name, description }) => [`[${code(name)}](#${name})`, description]);
  return [table(["Command", "Does"], rows), ...COMMANDS.map(section)].join("\n\n");
}

function section(command: CommandSpec): string {
  const { name, args, description, examples } = command;
  const usage = ["flotilla", name, args ?? "", "[options]"].filter((part) => part !== "").join(" ");
  const options = optionsOf(command).map(({ flags, description, repeated }) => [
    code(flags),
    repeated === true && !description.includes("repeat") ? `${description}; may be repeated` : description,
  ]);
  return [
    `## ${name}`,
    `${description.charAt(0).toUpperCase()}${description.slice(1)}.`,
    fenced([usage, ...examples.map((example) => `$ ${example}`)]),
    table(["Flag", "Meaning"], options),
  ].join("\n\n");
}

function fenced(lines: readonly string[]): string {
  return ["```text", ...lines, "```"].join("\n");
}
