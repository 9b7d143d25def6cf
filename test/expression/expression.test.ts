import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { type Bindings, bind, ExpressionFailure, language } from "../../src/expression/expression.ts";

const cel = language(["input", "tasks"]);

function render(template: Json, values: Record<string, Json> = {}): Json {
  const compiled = cel.template(template);
  if (!compiled.ok) throw new Error(compiled.problem);
  return compiled.value.render(bound(values));
}

function bound(values: Record<string, Json>): Bindings {
  return Object.fromEntries(
    Object.entries({ input: null, tasks: {}, ...values }).map(([name, value]) => [name, bind(value)]),
  );
}

const problemOf = (template: Json) => {
  const compiled = cel.template(template);
  return compiled.ok ? null : compiled.problem;
};

describe("a template", () => {
  it.each<[Json, Json, Json]>([
    ["${ input }", { a: [1, 2.5, null, "x", true] }, { a: [1, 2.5, null, "x", true] }],
    ["${input.n + 1}", { n: 1 }, 2],
    ["${ input.n / 2 }", { n: 3.5 }, 1.75],
    ["n=${ input.n }, list=${ input.list }", { n: 1, list: ["a"] }, 'n=1, list=["a"]'],
    ["plain", null, "plain"],
    ["", null, ""],
    ["costs $5 {not one}", null, "costs $5 {not one}"],
    [{ deep: [{ er: "${ input }" }], keep: 1, none: null }, "x", { deep: [{ er: "x" }], keep: 1, none: null }],
    ['${ {"a": {"b": input}} }', 1, { a: { b: 1 } }],
    ['${ "}" + input }', "x", "}x"],
    ["${ input.map(x, x * 2) }", [1, 2], [2, 4]],
    ["${ input.sum() } of ${ size(input) }", [1, 2, 3], "6 of 3"],
    ["${ input.sortBy('n').take(1) }", [{ n: 2 }, { n: 1 }], [{ n: 1 }]],
    ["${ has(input.a) ? input.a : 'none' }", {}, "none"],
    ["${ range(3) }", null, [0, 1, 2]],
    ["${ round(input, 1) }", 1.25, 1.3],
    ["${ json(input) }", { a: 1 }, '{"a":1}'],
  ])("%j with %j is %j", (template, input, value) => {
    expect(render(template, { input })).toEqual(value);
  });

  it("gives back any JSON as it was", () => {
    // As it stands in a journal: -0 is 0 there.
    const stored = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)) as Json);
    fc.assert(
      fc.property(stored, (input) => {
        expect(render("${ input }", { input })).toEqual(input);
      }),
    );
  });

  it("of any text without an expression is that text", () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes("${")),
        (text) => {
          expect(render(text)).toBe(text);
        },
      ),
    );
  });
});

describe("a mistake", () => {
  it.each([
    ["${ input. }", 'at character 7 of "input."'],
    ["${ inptu }", 'Unknown variable: inptu at character 1 of "inptu"'],
    ["a ${ nope(1) } b", "nope"],
    ["${ input", 'has no "}"'],
  ])("in %j is found when it is compiled, with its place", (template, problem) => {
    expect(problemOf(template)).toContain(problem);
  });

  it("does not hide another", () => {
    expect(problemOf({ a: "${ one }", b: ["${ two }"] })).toMatch(/one.*; .*two/);
  });

  it("in the values fails with the expression, and says whether something was absent", () => {
    const failure = (template: string, input: Json): ExpressionFailure => {
      try {
        render(template, { input });
      } catch (error) {
        if (error instanceof ExpressionFailure) return error;
      }
      throw new Error("it did not fail");
    };
    expect(failure("${ input.a.b }", { a: {} })).toMatchObject({ message: "input.a.b: No such key: b", absent: true });
    expect(failure("${ input[3] }", [1])).toMatchObject({ absent: true });
    expect(failure("${ input + 1 }", "x")).toMatchObject({ absent: false });
    expect(failure("${ range(input) }", 1e12)).toMatchObject({ absent: false });
  });
});

describe("what an expression reads of a variable", () => {
  it.each<[string, { member: string | null; field: string | null }[]]>([
    ["tasks.a.output.x", [{ member: "a", field: "output" }]],
    ["tasks['a-b'].status", [{ member: "a-b", field: "status" }]],
    ["tasks.a", [{ member: "a", field: null }]],
    ["size(tasks)", [{ member: null, field: null }]],
    ["tasks[input].output", [{ member: null, field: null }]],
    [
      "has(tasks.a.output.x) && tasks.b.status == 'failed'",
      [
        { member: "a", field: "output" },
        { member: "b", field: "status" },
      ],
    ],
    [
      "[1, {'k': tasks.a.error}].map(x, tasks.b.output)",
      [
        { member: "a", field: "error" },
        { member: "b", field: "output" },
      ],
    ],
    ["tasks[?'a'].?output", [{ member: "a", field: "output" }]],
    ["input.tasks.a", []],
  ])("%s", (source, reads) => {
    const compiled = cel.expression(source);
    expect(compiled.ok && compiled.value.reads("tasks")).toEqual(reads);
  });
});
