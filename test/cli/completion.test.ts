import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { completionScript, SHELLS } from "../../src/cli/completion.ts";
import { COMMANDS, optionsOf } from "../../src/cli/program.ts";
import { flotilla, newProject } from "./command-line.ts";

const isThere = (program: string) => spawnSync(program, ["--version"]).error === undefined;

/** What bash offers for the last of these words, by the script that the command line itself wrote. */
async function offered(...words: string[]): Promise<string[]> {
  const folder = newProject({ empty: true });
  const { stdout, code } = await flotilla(folder, ["completion", "bash"]);
  expect(code).toBe(0);
  const script = join(folder, "completion.bash");
  writeFileSync(script, stdout);
  const ask =
    'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _flotilla; printf "%s\\n" "${COMPREPLY[@]}"';
  const { stdout: said, stderr } = spawnSync("bash", ["-c", ask, "bash", script, "flotilla", ...words], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return said.split("\n").filter((word) => word !== "");
}

describe("I6: shells complete the command line", () => {
  describe.skipIf(!isThere("bash"))("bash, where it is installed", () => {
    test("commands", async () => {
      expect(await offered("sche")).toEqual(["schema", "schedules"]);
      expect(await offered("")).toEqual([...COMMANDS.map(({ name }) => name), "--help", "--version"]);
    });

    test("options of the command that is typed, shared ones included, also after others", async () => {
      expect(await offered("run", "--inp")).toEqual(["--input"]);
      expect(await offered("run", "triage", "--input", "a=b", "--js")).toEqual(["--json"]);
      expect(await offered("ls", "--inp")).toEqual([]);
    });

    test("what help and completion take; for a command that does not exist, nothing", async () => {
      expect(await offered("help", "verif")).toEqual(["verify"]);
      expect(await offered("completion", "po")).toEqual(["powershell"]);
      expect(await offered("nonsense", "--")).toEqual([]);
    });
  });

  test.each(SHELLS)("the script for %s names every command and every option", (shell) => {
    const script = completionScript(shell);
    for (const spec of COMMANDS) {
      expect(script).toContain(spec.name);
      for (const { flags } of optionsOf(spec))
        for (const long of flags.matchAll(/--([a-z-]+)/g)) expect(script).toContain(long[1]);
    }
  });

  test.each([
    ["bash", ["-n"]],
    ["zsh", ["-n"]],
    ["fish", ["--no-execute"]],
  ] as const)("the script for %s is well-formed, where that shell is installed", (shell, check) => {
    if (!isThere(shell)) return expect(completionScript(shell)).toContain(`# flotilla completion ${shell}`);
    const file = join(newProject({ empty: true }), "script");
    writeFileSync(file, completionScript(shell));
    expect(spawnSync(shell, [...check, file], { encoding: "utf8" })).toMatchObject({ status: 0, stderr: "" });
  });

  test("another shell is refused, with those that there are", async () => {
    const folder = newProject({ empty: true });
    const [wrong, none, json] = await Promise.all([
      flotilla(folder, ["completion", "fis"]),
      flotilla(folder, ["completion"]),
      flotilla(folder, ["completion", "fish", "--json"]),
    ]);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean fish?") });
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("shell") });
    expect(JSON.parse(json.stdout)).toMatchObject({ shell: "fish", script: expect.stringContaining("complete -c") });
  });
});
