import { COMMANDS, type CommandSpec, optionsOf } from "./program.ts";

/** Shells for which `flotilla completion` writes a script. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;
export type Shell = (typeof SHELLS)[number];

/** What a shell offers: the commands, and by command its options and, for some, what their first argument can be. */
interface Vocabulary {
  readonly commands: readonly { name: string; description: string }[];
  readonly words: ReadonlyMap<string, readonly Word[]>;
}

interface Word {
  text: string;
  description: string;
}

/** The script that makes a shell complete commands and options of `flotilla`: made from the same table as the command line
 *  itself, so that it offers what there is and nothing else (I6). It asks nobody and reads nothing when it runs. */
export function completionScript(shell: Shell): string {
  return SCRIPTS[shell](vocabulary());
}

const SCRIPTS: Readonly<Record<Shell, (known: Vocabulary) => string>> = { bash, zsh, fish, powershell };

function vocabulary(): Vocabulary {
  const commands = COMMANDS.map(({ name, description }) => ({ name, description }));
  return { commands, words: new Map(COMMANDS.map((spec) => [spec.name, [...argumentsOf(spec), ...flagsOf(spec)]])) };
}

function argumentsOf({ name }: CommandSpec): Word[] {
  if (name === "help") return COMMANDS.map((command) => ({ text: command.name, description: command.description }));
  if (name === "completion") return SHELLS.map((shell) => ({ text: shell, description: `the script for ${shell}` }));
  return [];
}

/** Every spelling of every option: `-y, --yes` and `--at <version>` are `-y`, `--yes` and `--at`. */
function flagsOf(spec: CommandSpec): Word[] {
  const help = { flags: "-h, --help", description: "print help" };
  return [...optionsOf(spec), help].flatMap(({ flags, description }) =>
    flags.split(", ").map((flag) => ({ text: flag.split(" ", 1)[0] ?? flag, description })),
  );
}

const texts = (words: readonly Word[]): string => words.map(({ text }) => text).join(" ");

function bash({ commands, words }: Vocabulary): string {
  const cases = [...words].map(([command, own]) => `      ${command}) words="${texts(own)}" ;;`);
  return `# flotilla completion bash
_flotilla() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.map(({ name }) => name).join(" ")} --help --version"
  else
    case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _flotilla flotilla
`;
}

function zsh({ commands, words }: Vocabulary): string {
  const item = ({ text, description }: Word) => quoted(`${text}:${description}`);
  const list = (own: readonly Word[]) => own.map(item).join(" ");
  const all = commands.map(({ name, description }) => ({ text: name, description }));
  const cases = [...words].map(([command, own]) => `      ${command}) offered=(${list(own)}) ;;`);
  return `#compdef flotilla
# flotilla completion zsh
_flotilla() {
  local -a offered
  if (( CURRENT == 2 )); then
    offered=(${list(all)})
  else
    case "$words[2]" in
${cases.join("\n")}
    esac
  fi
  _describe -o 'flotilla' offered
  [[ "$PREFIX" == -* ]] || _files
}
compdef _flotilla flotilla
`;
}

function fish({ commands, words }: Vocabulary): string {
  const lines = commands.map(
    ({ name, description }) =>
      `complete -c flotilla -n __fish_use_subcommand -f -a ${name} -d ${quotedInFish(description)}`,
  );
  for (const [command, own] of words) {
    for (const word of own) lines.push(ofCommand(command, word));
  }
  return `# flotilla completion fish\n${lines.join("\n")}\n`;
}

function ofCommand(command: string, { text, description }: Word): string {
  const kind = text.startsWith("--")
    ? `-l ${text.slice(2)}`
    : text.startsWith("-")
      ? `-s ${text.slice(1)}`
      : `-a ${text}`;
  return `complete -c flotilla -n '__fish_seen_subcommand_from ${command}' ${kind} -d ${quotedInFish(description)}`;
}

function powershell({ commands, words }: Vocabulary): string {
  const item = (word: Word) => `@(${quotedInPowerShell(word.text)}, ${quotedInPowerShell(word.description)})`;
  const list = (own: readonly Word[]) => `@(${own.map((word) => `, ${item(word)}`).join("; ")})`;
  const all = commands.map(({ name, description }) => ({ text: name, description }));
  const cases = [...words].map(([command, own]) => `      '${command}' { ${list(own)} }`);
  return `# flotilla completion powershell
Register-ArgumentCompleter -Native -CommandName flotilla -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $elements = @($commandAst.CommandElements | ForEach-Object { $_.ToString() })
  $typed = $elements.Count - $(if ($wordToComplete -eq '') { 0 } else { 1 })
  $words = if ($typed -le 1) { ${list(all)} } else {
    switch ($elements[1]) {
${cases.join("\n")}
    }
  }
  $words | Where-Object { $_[0] -like "$wordToComplete*" } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $_[1])
  }
}
`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
const quotedInFish = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
const quotedInPowerShell = (text: string): string => `'${text.replaceAll("'", "''")}'`;
