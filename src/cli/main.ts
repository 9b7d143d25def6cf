import { Command, CommanderError, Option } from "commander";
import { nearest } from "../definition/nearest.ts";
import { VERSION } from "../version.ts";
import type { Context, SharedFlags } from "./context.ts";
import { EXIT, type ExitCode, reportFailure, usageError } from "./failure.ts";
import { COMMANDS, type CommandSpec, type Options, optionsOf } from "./program.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

/** Runs one command line, without `node` and the script in front, and resolves with the exit code. Never rejects:
 *  whatever goes wrong is told on stderr. */
export async function main(argv: readonly string[], terminal: Terminal = systemTerminal()): Promise<ExitCode> {
  // Known before anything is parsed, so that usage errors have the right form too.
  const asked = { json: argv.includes("--json"), debug: argv.includes("--debug") };
  try {
    let code: ExitCode = EXIT.ok;
    const program = build(terminal, async (spec, args, options) => {
      const context: Context = { terminal, ...asked, flags: options as SharedFlags };
      const { run } = await spec.load();
      code = await run(context, args, options);
    });
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, terminal, asked);
    if (error.exitCode === 0) return EXIT.ok;
    return reportFailure(usage(error, argv), terminal, asked);
  }
}

type Act = (spec: CommandSpec, args: readonly (string | undefined)[], options: Options) => Promise<void>;

function build(terminal: Terminal, act: Act): Command {
  const program = new Command("flotilla")
    .description("The runtime for fleets of AI agents: durable, auditable, testable under injected faults.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      // Errors of the command line are told by `reportFailure`, in one form with all others.
      writeErr: () => {},
    })
    .action((_options, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) throw unknownCommand(unknown);
      command.outputHelp();
    })
    .allowExcessArguments();
  for (const spec of COMMANDS) add(program, spec, act);
  return program;
}

function add(program: Command, spec: CommandSpec, act: Act): void {
  const command = program
    .command(`${spec.name}${spec.args === undefined ? "" : ` ${spec.args}`}`)
    .description(spec.description)
    .helpOption("-h, --help", "print help")
    // A word too many is a mistake: `kill RUN` would stop everything, and the run was meant.
    .allowExcessArguments(false)
    .addHelpText("after", `\nExamples:\n${spec.examples.map((example) => `  $ ${example}`).join("\n")}`);
  for (const { flags, description, repeated } of optionsOf(spec)) {
    const option = new Option(flags, description);
    if (repeated) option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    command.addOption(option);
  }
  command.action(async (...given: unknown[]) => {
    const args = (given.slice(0, -2) as (string | string[] | undefined)[]).flat();
    await act(spec, args, command.opts());
  });
}

function unknownCommand(name: string): Error {
  const names = COMMANDS.map((command) => command.name);
  const near = nearest(name, names);
  return usageError(
    `there is no command "${name}"`,
    `${near === null ? "" : `Did you mean "${near}"? `}Commands: ${names.join(", ")}.`,
  );
}

/** What commander says, in our form; it has looked for the nearest flag itself. */
function usage(error: CommanderError, argv: readonly string[]): Error {
  const [statement = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const meant = /\(Did you mean (?:one of )?(.+?)\?\)/.exec(rest.join(" "))?.[1];
  const [first] = argv;
  const command = COMMANDS.find(({ name }) => name === first)?.name;
  // Its flags are unknown because it is.
  if (command === undefined && first !== undefined && !first.startsWith("-")) return unknownCommand(first);
  const help = `flotilla ${command === undefined ? "" : `${command} `}--help`;
  return usageError(statement, meant === undefined ? `See ${help}.` : `Did you mean ${meant}? See ${help}.`);
}
