import { expect, test } from "vitest";
import { readInput } from "../../src/cli/input.ts";

const schema = {
  type: "object",
  required: ["log"],
  properties: {
    log: { type: "string", "x-path": true },
    lines: { type: "integer", default: 100 },
    deep: { type: "boolean" },
    note: { type: "string" },
    tags: { type: "array" },
  },
} as const;

const read = (given: string[], file = "{}") => readInput(given, schema, "/work", () => Promise.resolve(file));

test("values are typed by the workflow's schema, paths start from where one is, defaults fill the rest", async () => {
  expect(await read(["log=app.log", "deep=true", "note=123", 'tags=["a"]'])).toEqual({
    log: "/work/app.log",
    lines: 100,
    deep: true,
    note: "123",
    tags: ["a"],
  });
});

test("a document, then a value over it", async () => {
  expect(await read(['{"log":"a.log","lines":5}', "lines=6"])).toEqual({ log: "a.log", lines: 6 });
  expect(await read(["@in.json"], '{"note":"from the file"}')).toEqual({ note: "from the file", lines: 100 });
  expect(await read(["@in.yaml"], "note: from yaml")).toEqual({ note: "from yaml", lines: 100 });
});

test("a misspelt name gets the nearest one", async () => {
  await expect(read(["lg=app.log"])).rejects.toMatchObject({
    code: "USAGE",
    hint: expect.stringContaining('Did you mean "log"?'),
  });
});

test("what is not JSON where JSON is due says so", async () => {
  await expect(read(["lines=many"])).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringContaining("--input lines is not valid JSON"),
  });
  await expect(read(["{log}"])).rejects.toMatchObject({ code: "USAGE" });
  await expect(read(["just words"])).rejects.toMatchObject({
    code: "USAGE",
    hint: expect.stringContaining("--input log=…"),
  });
});

test("without any input the schema's own is taken; a schema of text takes text", async () => {
  expect(await readInput([], { type: "object", examples: [{ log: "x" }] }, "/")).toEqual({ log: "x" });
  expect(await readInput([], schema, "/")).toEqual({ lines: 100 });
  expect(await readInput(["a=b"], { type: "string" }, "/")).toBe("a=b");
  expect(await readInput(["a question"], null, "/")).toBe("a question");
});
