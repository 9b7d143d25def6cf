import { userInfo } from "node:os";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import { flotilla, newProject } from "./command-line.ts";

// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there.
const CURSOR = /\u001b|\r/;

describe("usage", () => {
  test("an unknown command, flag, workflow or input gets the nearest one, and exit code 2", async () => {
    const folder = newProject();
    const [command, flag, workflow, input, status] = await Promise.all([
      flotilla(folder, ["shwo"]),
      flotilla(folder, ["ls", "--jsn"]),
      flotilla(folder, ["run", "leters"]),
      flotilla(folder, ["run", "--input", "txt=a", "--store", "memory:"]),
      flotilla(folder, ["ls", "--status", "faild"]),
    ]);
    expect(command).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean "show"?') });
    expect(flag).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean --json?") });
    expect(workflow).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean "letters"?') });
    expect(input).toMatchObject({ code: 2, stderr: expect.stringContaining('Did you mean "text"?') });
    expect(status).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean failed?") });
  });

  test("an unknown command is what is told, whatever flags it has", async () => {
    const { code, stderr } = await flotilla(newProject({ empty: true }), ["pauze", "--reason", "why"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('Did you mean "pause"?') });
  });

  test("X5: a word too many is refused: who kills a run does not mean the fleet", async () => {
    const folder = newProject();
    const { code, stderr } = await flotilla(folder, ["kill", "r-1", "--reason", "it loops", "--yes"]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("too many arguments for 'kill'") });
    expect(existsSync(join(folder, ".flotilla"))).toBe(false);
  });

  test("F11: a backup that is not there is named, with what to do", async () => {
    const { code, stderr } = await flotilla(newProject(), ["restore", "bakcup"]);
    expect({ code, stderr }).toEqual({ code: 6, stderr: expect.stringContaining("Correct the path.") });
  });

  test("help explains commands and errors offline", async () => {
    const folder = newProject({ empty: true });
    const [all, one, code, version] = await Promise.all([
      flotilla(folder, ["--help"]),
      flotilla(folder, ["help", "verify"]),
      flotilla(folder, ["help", "FLT103"]),
      flotilla(folder, ["--version"]),
    ]);
    expect(all).toMatchObject({ code: 0, stdout: expect.stringContaining("replay") });
    expect(one).toMatchObject({ code: 0, stdout: expect.stringContaining("Usage: flotilla verify") });
    expect(code).toMatchObject({ code: 0, stdout: expect.stringContaining("DEFINITION_UNKNOWN_KEY") });
    expect(version).toMatchObject({ code: 0, stdout: "0.1.0\n", stderr: "" });
  });

  test("nothing here yet: lists are empty, the rest says what to do", async () => {
    const folder = newProject();
    const [list, show, verify] = await Promise.all([
      flotilla(folder, ["ls", "--json"]),
      flotilla(folder, ["show"]),
      flotilla(folder, ["verify"]),
    ]);
    expect(list).toMatchObject({ code: 0, stdout: "[]\n" });
    expect(show).toMatchObject({ code: 2, stderr: expect.stringContaining("there is no run yet") });
    expect(verify).toMatchObject({ code: 0, stderr: expect.stringContaining("flotilla run") });
  });
});

describe("definitions", () => {
  test("without one, exit code 3 and how to make one", async () => {
    const folder = newProject({ empty: true });
    // The search ends at a repository's root.
    mkdirSync(join(folder, ".git"));
    const ended = await flotilla(folder, ["check", "--json"]);
    expect(ended.code).toBe(3);
    expect(JSON.parse(ended.stderr)).toMatchObject({
      error: { code: "DEFINITION_NOT_FOUND", id: "FLT100", docs: "flotilla help FLT100" },
    });
  });

  test("every mistake at once, each with its place; --fix corrects them and nothing else", async () => {
    const folder = newProject();
    const file = join(folder, "fleet.yaml");
    const sound = readFileSync(file, "utf8");
    writeFileSync(
      file,
      sound
        .replace("instructions: Spell.", "instrctions: Spell.")
        .replace("stages: [counter, speller", "stages: [counter, spellr"),
    );
    const checked = await flotilla(folder, ["check"]);
    expect(checked.code).toBe(3);
    expect(checked.stderr).toContain('FLT103 unknown key "instrctions"');
    expect(checked.stderr).toContain('^^^^^^^^^^^ did you mean "instructions"?');
    expect(checked.stderr).toContain('uses agent "spellr"');
    const run = await flotilla(folder, ["run", "--json"]);
    expect(run.code).toBe(3);
    expect(JSON.parse(run.stderr).error.problems).toHaveLength(2);
    const fixed = await flotilla(folder, ["check", "--fix"]);
    expect(fixed).toMatchObject({ code: 0, stdout: expect.stringMatching(/fleet.yaml ok · letters · \d+ agents/) });
    expect(readFileSync(file, "utf8")).toBe(sound);
  });

  test("the schema for editors is written beside the store", async () => {
    const folder = newProject();
    expect(await flotilla(folder, ["schema"])).toMatchObject({ code: 0, stdout: ".flotilla/fleet.schema.json\n" });
    const schema = JSON.parse(readFileSync(join(folder, ".flotilla/fleet.schema.json"), "utf8"));
    expect(schema.properties).toHaveProperty("agents");
  });
});

describe("a run", () => {
  test("prints its output and nothing else to stdout; off a terminal one line for each change, no cursor codes", async () => {
    const folder = newProject();
    const ran = await flotilla(folder, ["run", "--input", "text=abcd"]);
    expect(ran).toMatchObject({ code: 0, stdout: "agreed: spelled 4 letters\n" });
    expect(ran.stderr).not.toMatch(CURSOR);
    expect(ran.stderr).toMatch(
      /✓ counter .*\n✓ speller .*\n✓ judge .*\n✓ letters r-\w{6} completed in .* 3 tasks · 5 steps · .* simulated/,
    );
    expect(ran.stderr).toMatch(/Next: flotilla show r-\w{6}/);

    const listed = JSON.parse((await flotilla(folder, ["ls", "--json"])).stdout);
    expect(listed).toMatchObject([
      { workflow: "letters", status: "completed", tasks: 3, steps: 5, simulated: true, error: null },
    ]);
    const id: string = listed[0].id;

    const [shown, story, replayed, state, verified] = await Promise.all([
      flotilla(folder, ["show", id.slice(0, 9)]),
      flotilla(folder, ["show", "@last", "--json"]),
      flotilla(folder, ["replay", "@last", "--json"]),
      flotilla(folder, ["replay", id.slice(2, 10), "--at", "2"]),
      flotilla(folder, ["verify", "@last"]),
    ]);
    expect(shown.stdout).toContain("reasoning: I count them one by one.");
    expect(JSON.parse(story.stdout)).toMatchObject({
      id,
      input: { text: "abcd" },
      output: "agreed: spelled 4 letters",
    });
    const events = replayed.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(events.at(-1)).toMatchObject({ type: "run.completed", time: expect.stringMatching(/^\d{4}-.*Z$/) });
    expect(state.stdout).toMatch(/after event 2 of \d+: running/);
    expect(verified).toMatchObject({ code: 0, stdout: expect.stringContaining("all as recorded") });
  });

  test("as --json it is one document", async () => {
    const ran = await flotilla(newProject(), ["run", "--json", "--store", "memory:"]);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      workflow: "letters",
      status: "completed",
      output: "agreed: spelled 5 letters",
      recovered: null,
    });
    expect(ran.stderr).toBe("");
  });

  test("that fails has exit code 1, and its root cause is found", async () => {
    const folder = newProject();
    const ran = await flotilla(folder, ["run", "broken"]);
    expect(ran).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("FLT312 AGENT_FAILED") });
    expect(ran.stderr).toContain("rash by nature");
    expect(ran.stderr).not.toContain("    at ");
    const cause = await flotilla(folder, ["show", "--root-cause", "--json"]);
    expect(JSON.parse(cause.stdout)).toMatchObject({
      status: "failed",
      cause: { task: "rash", agent: "rash", input: "it broke", error: { code: "AGENT_FAILED" } },
    });
  });

  test("S6: whose content is erased says who, why and what it costs, and still verifies", async () => {
    const folder = newProject();
    expect(await flotilla(folder, ["run"])).toMatchObject({ code: 0 });
    expect(await flotilla(folder, ["erase", "@last"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("why is it erased?"),
    });
    const asked = await flotilla(folder, ["erase", "@last", "--reason", "3 May"]);
    expect(asked).toMatchObject({ code: 2, stderr: expect.stringContaining("would erase all content of letters") });
    const odd = await flotilla(folder, ["erase", "@last", "--reason", "3 May", "--versions", "9-3", "--yes"]);
    expect(odd).toMatchObject({ code: 2, stderr: expect.stringContaining("names no events") });
    const beyond = await flotilla(folder, ["erase", "@last", "--reason", "3 May", "--versions", "900", "--yes"]);
    expect(beyond).toMatchObject({ code: 2, stderr: expect.stringContaining("FLT506") });
    const erased = await flotilla(folder, ["erase", "@last", "--reason", "3 May", "--yes"]);
    expect(erased).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+ contents of r-\w+ erased\n$/) });
    expect(await flotilla(folder, ["verify"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("erased on request"),
    });
    expect(await flotilla(folder, ["show", "fleet"])).toMatchObject({
      stdout: expect.stringContaining(`erased by ${userInfo().username}`),
    });
    for (const look of [["show"], ["show", "--all"], ["replay"], ["ls"], ["show", "--root-cause"]])
      expect(await flotilla(folder, [...look, ...(look[0] === "ls" ? [] : ["@last"])])).toMatchObject({ code: 0 });
  });

  test("whose record was altered with a database tool does not verify: exit code 1, the event is named", async () => {
    const folder = newProject();
    await flotilla(folder, ["run"]);
    const db = new DatabaseSync(join(folder, ".flotilla/store.db"));
    const row = db
      .prepare("SELECT rowid, version, bytes FROM event WHERE type = 'task.completed' ORDER BY version LIMIT 1")
      .get();
    const altered = Buffer.from(
      Buffer.from(row?.bytes as Uint8Array)
        .toString("utf8")
        .replace('"attempt":1', '"attempt":3'),
    );
    db.prepare("UPDATE event SET bytes = ? WHERE rowid = ?").run(altered, Number(row?.rowid));
    db.close();
    const verified = await flotilla(folder, ["verify"]);
    expect(verified.code).toBe(1);
    expect(verified.stdout).toMatch(new RegExp(`event ${Number(row?.version)} of r-\\w+ was altered`));
  });
});

describe("bad input", () => {
  test("a workload that is none: exit code 2, and what there is", async () => {
    const folder = newProject({ empty: true });
    expect(await flotilla(folder, ["bench", "W99"])).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^FLT900 there is no workload W99; there are: W1, .*Did you mean W\d\?/),
    });
  });

  test("test cases that are not there, or are no text", async () => {
    const folder = newProject();
    const none = await flotilla(folder, ["test", "letter.test.yaml"]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean") });
    expect(none.stderr).not.toContain("ENOENT");
    writeFileSync(join(folder, "odd.test.yaml"), Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 151) % 256)));
    const odd = await flotilla(folder, ["test", "odd.test.yaml"]);
    expect(odd).toMatchObject({ code: 3, stderr: expect.stringContaining("this is no text") });
    expect(odd.stderr.split("\n").length).toBeLessThan(5);
    const definition = await flotilla(folder, ["check", "--file", "odd.test.yaml"]);
    expect(definition).toMatchObject({ code: 3, stderr: expect.stringContaining("this is no text") });
  });
});

describe("init", () => {
  test("makes a project that is valid, without a question off a terminal, and never over something", async () => {
    const folder = newProject({ empty: true });
    const made = await flotilla(folder, ["init", "demo"]);
    expect(made).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^demo\/ {2}fleet\.yaml \(\d+ lines\)/),
      stderr: "Next: cd demo && npx flotilla dev\n",
    });
    expect(await flotilla(join(folder, "demo"), ["check"])).toMatchObject({ code: 0 });
    expect(await flotilla(folder, ["init", "demo"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("is not empty"),
    });
    expect(await flotilla(folder, ["init", "x", "--example", "incidnt"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('Did you mean "incident"?'),
    });
    expect(existsSync(join(folder, "x"))).toBe(false);
  });
});

describe("test", () => {
  test("T4: cases pass with scripted models and no network, with a JUnit report", async () => {
    const folder = newProject();
    const tested = await flotilla(folder, ["test", "--junit", "report.xml"]);
    expect(tested).toMatchObject({ code: 0, stderr: "3 cases passed, 0 failed\n" });
    expect(readFileSync(join(folder, "report.xml"), "utf8")).toContain('tests="3" failures="0"');
  });

  test("T4: a case that fails says where, and --update takes what came out", async () => {
    const folder = newProject();
    const file = join(folder, "letters.test.yaml");
    const sound = readFileSync(file, "utf8");
    writeFileSync(file, sound.replace("spelled 500 letters", "spelled 7 letters"));
    const tested = await flotilla(folder, ["test"]);
    expect(tested.code).toBe(1);
    expect(tested.stdout).toContain(
      'output: it is "agreed: spelled 500 letters", expected "agreed: spelled 7 letters"',
    );
    expect(await flotilla(folder, ["test", "--update"])).toMatchObject({ code: 0 });
    expect(await flotilla(folder, ["test"])).toMatchObject({ code: 0 });
  });
});

test("doctor looks at everything and finds nothing missing", async () => {
  const looked = await flotilla(newProject(), ["doctor", "--json"]);
  expect(looked.code).toBe(0);
  expect(JSON.parse(looked.stdout).map(({ name }: { name: string }) => name)).toEqual(
    expect.arrayContaining(["node", "definition", "store", "owner", "keys", "disk", "secrets"]),
  );
});
