import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProject, packCopy, type Project, type Tarball } from "./project.ts";

// Line 15: the packed tarball inside other programs.

let tarball: Tarball;
let project: Project;

beforeAll(() => {
  tarball = packCopy();
  project = createProject(tarball, "fixture", ["hono", "@hono/node-server"]);
}, 180_000);

afterAll(() => {
  project?.[Symbol.dispose]();
  tarball?.[Symbol.dispose]();
});

describe("line 15: types, in a strict project", () => {
  test.each([
    ["as Node resolves", "tsconfig.json"],
    ["as bundlers resolve", "tsconfig.bundler.json"],
  ])("%s: what is right compiles with the types it should have, and nothing that is wrong does", (_, config) => {
    expect(project.tsc(join("typed", config))).toEqual({ status: 0, output: "" });
  });

  test("each mistake is told of where it is made, and nowhere else", () => {
    const wrong = readFileSync(join(project.folder, "typed", "wrong.ts"), "utf8");
    const lines = wrong.split("\n");
    const expected = lines.flatMap((line, index) => (line.includes("// @ts-expect-error") ? [index + 2] : []));
    writeFileSync(join(project.folder, "typed", "bare.ts"), wrong.replaceAll("// @ts-expect-error", "// mistake:"));
    const { status, output } = project.tsc("typed");
    const told = [...output.matchAll(/^(?:typed\/)?bare\.ts\((\d+),\d+\): error TS/gm)].map(([, line]) => Number(line));
    expect(status).not.toBe(0);
    expect(output.split("\n").filter((line) => /^\S+\.ts\(/.test(line) && !line.includes("bare.ts("))).toEqual([]);
    expect(told).toEqual(expected);
    expect(expected.length).toBeGreaterThan(30);
  });
});

describe("line 15: inside a web framework", () => {
  test("compiles with the framework's types", () => {
    expect(project.tsc("web")).toEqual({ status: 0, output: "" });
  });

  test("serves runs and streams of events, is reloaded in the middle of both, leaves no trace, and ends by itself", async () => {
    const { status, output } = await project.shell(
      `HOUSE_STORE=sqlite:${project.folder}/house/store.db node web/server.ts`,
    );
    expect(status, output).toBe(0);
    expect(JSON.parse(output)).toEqual({
      watched: { whole: true, first: "run.started", last: "run.completed", knocks: 2 },
      awaited: { welcome: "Welcome, Ben!" },
      rejoined: true,
      dan: { welcome: "Welcome, Dan!" },
      again: true,
      refused: {
        code: "INPUT_INVALID",
        message: 'the input of workflow "welcome" is not what it takes: /name must be string',
        hint: expect.stringMatching(/\S/) as string,
      },
      unknown: {
        code: "RUN_UNKNOWN",
        message: "there is no run r-nobody",
        hint: expect.stringMatching(/\S/) as string,
      },
      untouched: true,
    });
  });

  test("closing gives everything back, whatever was going on: nothing keeps the process running", () => {
    const ways = JSON.parse(project.node(join("web", "leave.ts"), join(project.folder, "left"))) as object;
    expect(ways).toEqual({
      inMemory: { left: [] },
      afterARun: { left: [] },
      inTheMiddleOfARun: { said: "STORE_CLOSED", left: [] },
      whileWatchedBySomebody: { left: [] },
      onceTakenOver: { left: [] },
      takenOverAndForgotten: { left: [] },
      inHosts: { left: [] },
      neverOpened: { said: "DEFINITION_NOT_FOUND", left: [] },
    });
  });
});
