import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CommandLine, flotilla, newProject } from "./command-line.ts";

interface Listed {
  id: string;
  run: string;
  kind: string;
  arguments: unknown;
  decided: { choice: string; by: string; note: string } | null;
}

const inbox = async (folder: string, ...more: string[]) =>
  JSON.parse((await flotilla(folder, ["inbox", "--json", ...more])).stdout) as Listed[];
const notesOf = (folder: string) => join(folder, "notes.log");

test("F9: a run that waits for approval says so and ends with exit code 4; approved while nothing runs, it goes on", async () => {
  const folder = newProject();
  expect(await inbox(folder)).toEqual([]);
  const first = await flotilla(folder, ["run", "news"]);
  expect(first).toMatchObject({ code: 4, stdout: "" });
  expect(first.stderr).toMatch(/waits for you: a-\w+ {2}approval {2}editor asks to call publish/);
  expect(first.stderr).toMatch(/decide: flotilla approve a-\w+ {3}flotilla reject a-\w+/);
  const [item, ...others] = await inbox(folder);
  expect(others).toEqual([]);
  expect(item).toMatchObject({ kind: "approval", arguments: { text: "news" }, decided: null });
  expect((await flotilla(folder, ["inbox"])).stdout).toContain("editor asks to call publish");
  expect(await inbox(folder, "--overdue")).toEqual([]);
  expect(await inbox(folder, "--mine", "--as", "ann")).toEqual([]);
  // Looked at again, it still waits.
  expect(await flotilla(folder, ["run", "news", "--resume"])).toMatchObject({ code: 4 });

  const prefix = item?.id.slice(2, 9) ?? "";
  const edit = JSON.stringify({ notes: notesOf(folder), text: "good news" });
  const wrong = await flotilla(folder, ["approve", prefix, "--edit", '{"text":1}']);
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining("edited arguments do not match") });
  expect(existsSync(notesOf(folder))).toBe(false);
  const approved = await flotilla(folder, ["approve", prefix, "--edit", edit, "--as", "ann", "--note", "better so"]);
  expect(approved).toMatchObject({ code: 0, stdout: expect.stringContaining("approve, edited") });
  expect(await flotilla(folder, ["approve", prefix])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("ann chose approve (better so)"),
  });
  expect(await flotilla(folder, ["run", "news", "--resume"])).toMatchObject({
    code: 0,
    stdout: "answered: published good news\n",
  });
  expect(readFileSync(notesOf(folder), "utf8")).toBe("published good news\n");
  expect(await inbox(folder, "--decided")).toMatchObject([{ decided: { choice: "approve", by: "ann" } }]);
  expect((await flotilla(folder, ["show"])).stdout).toContain("ann approved");
});

test("F9, F12: killed while it waits, rejected through a second terminal after the restart", async () => {
  const folder = newProject();
  const first = new CommandLine(["dev"], { cwd: folder });
  await first.says("Ready in");
  const started = await flotilla(folder, ["run", "news", "--detach"]);
  await first.says("waits for you: publish");
  first.child.kill("SIGKILL");
  await first.ended;
  const [item] = await inbox(folder, started.stdout.trim());
  const second = new CommandLine(["dev"], { cwd: folder });
  await second.says("Ready in");
  const rejected = await flotilla(folder, ["reject", item?.id ?? "", "--note", "too early"]);
  expect(rejected).toMatchObject({ code: 0, stdout: expect.stringContaining("reject") });
  await second.says("completed in");
  expect(existsSync(notesOf(folder))).toBe(false);
  expect((await flotilla(folder, ["show", item?.run ?? ""])).stdout).toContain(
    "rejected the call of publish: too early",
  );
});

test("many are decided by a filter, once they were shown; what fits none is said", async () => {
  const folder = newProject();
  for (const text of ["one", "two"]) await flotilla(folder, ["run", "news", "--input", `text=${text}`]);
  const shown = await flotilla(folder, ["reject", "--all-matching", "tool=publish"]);
  expect(shown).toMatchObject({ code: 2, stderr: expect.stringContaining("this would reject 2 items:") });
  expect(await inbox(folder)).toHaveLength(2);
  expect(await flotilla(folder, ["reject", "--all-matching", "tool=publsh", "--yes"])).toMatchObject({
    code: 0,
    stdout: "",
  });
  expect(await flotilla(folder, ["reject", "--all-matching", "tol=publish"])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Did you mean "tool"?'),
  });
  expect(await flotilla(folder, ["reject", "--all-matching", "tool=publish", "--yes"])).toMatchObject({ code: 0 });
  expect(await inbox(folder)).toEqual([]);
  expect(await inbox(folder, "--decided")).toHaveLength(2);
});

test("what cannot be decided so gets what can", async () => {
  const folder = newProject();
  await flotilla(folder, ["run", "news"]);
  const [none, unknown, choice, wrong, json] = await Promise.all([
    flotilla(folder, ["approve"]),
    flotilla(folder, ["approve", "a-ffffffff"]),
    flotilla(folder, ["decide", "@last", "aprove"]),
    flotilla(folder, ["decide", "@last", "done"]),
    flotilla(folder, ["approve", "@last", "--edit", "{"]),
  ]);
  expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("flotilla inbox") });
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining("there is no item a-ffffffff") });
  expect(choice).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean approve?") });
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("Choose one of: approve, reject.") });
  expect(json).toMatchObject({ code: 2, stderr: expect.stringContaining("--edit is not valid JSON") });
});

test("what is allowed beforehand is approved as it comes, on record; of nothing else", async () => {
  const folder = newProject();
  expect(await flotilla(folder, ["run", "news", "--approve", "restart"])).toMatchObject({ code: 4 });
  const ran = await flotilla(folder, ["run", "news", "--approve", "publish", "--input", "text=allowed"]);
  expect(ran).toMatchObject({ code: 0, stdout: "answered: published allowed\n" });
  expect(await inbox(folder, "--decided")).toMatchObject([
    { decided: { choice: "approve", note: "allowed beforehand, with --approve" } },
  ]);
});
