import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  type Agent,
  type AgentContext,
  agent,
  fleet,
  type Tool,
  type ToolContext,
  tool,
  httpTool,
  type WorkflowInput,
  type WorkflowName,
  type WorkflowOutput,
  workflow,
} from "../../src/definition/build.ts";
import type { Json } from "../../src/core/json.ts";
import type newsroom from "./newsroom.ts";
import { Draft, publish, search, team, teamPattern, writer } from "./newsroom.ts";

// The compiler is the test: `npm run check` type-checks this file.

describe("I1: types flow from zod", () => {
  test("a tool takes and gives what its schemas say", () => {
    expectTypeOf(search).toEqualTypeOf<Tool<{ query: string }, { url: string; text: string }[]>>();
    const shaped = tool({
      description: "d",
      effect: "read",
      input: z.object({ at: z.string().default("now"), n: z.string().transform(Number) }),
      run: (input, ctx) => {
        expectTypeOf(input).toEqualTypeOf<{ at: string; n: number }>();
        expectTypeOf(ctx).toEqualTypeOf<ToolContext>();
        return input.n;
      },
    });
    expectTypeOf(shaped).toEqualTypeOf<Tool<{ at?: string | undefined; n: string }, number>>();
    // @ts-expect-error the output schema wants a number
    tool({ description: "d", effect: "read", input: z.object({}), output: z.number(), run: () => "text" });
    tool({ description: "d", effect: "write", input: z.object({}), run: () => 1, approval: { deadlineMs: 1 } });
    const wait = { onDeadline: "wait" } as const;
    // @ts-expect-error the default is to reject or to approve
    () => tool({ description: "d", effect: "read", input: z.object({}), run: () => 1, approval: wait });
    // @ts-expect-error effect is mandatory
    () => tool({ description: "d", input: z.object({}), run: () => 1 });
  });

  test("an HTTP tool takes what its schema says and gives JSON", () => {
    const get = httpTool({
      description: "d",
      effect: "read",
      url: "https://a.example/{id}",
      input: z.object({ id: z.int() }),
    });
    expectTypeOf(get).toEqualTypeOf<Tool<{ id: number }, Json>>();
  });

  test("an agent answers with its output schema, or with text", () => {
    expectTypeOf(writer).toEqualTypeOf<Agent<Json, { markdown: string }>>();
    expectTypeOf(agent({ model: "a/b", instructions: "i" })).toEqualTypeOf<Agent<Json, string>>();
    // @ts-expect-error a model agent has a model
    () => agent({ instructions: "i" });
  });

  test("a code agent's context and input are typed, and so is what it returns", () => {
    const counted = agent({
      input: z.object({ text: z.string() }),
      run: async (ctx, input) => {
        expectTypeOf(ctx).toEqualTypeOf<AgentContext>();
        expectTypeOf(input).toEqualTypeOf<{ text: string }>();
        expectTypeOf(ctx.tool(search, { query: "q" })).resolves.toEqualTypeOf<{ url: string; text: string }[]>();
        // @ts-expect-error the tool takes a query
        () => ctx.tool(search, { quary: "q" });
        expectTypeOf(ctx.tool("search", {})).resolves.toEqualTypeOf<Json>();
        expectTypeOf(ctx.model("prompt").then((answer) => answer.output)).resolves.toEqualTypeOf<string>();
        expectTypeOf(ctx.model({ prompt: "p", output: Draft }).then((answer) => answer.output)).resolves.toEqualTypeOf<{
          markdown: string;
        }>();
        expectTypeOf(ctx.step("double", 2, (n) => n * 2)).resolves.toEqualTypeOf<number>();
        expectTypeOf(ctx.step("read", async () => "text")).resolves.toEqualTypeOf<string>();
        expectTypeOf(ctx.now()).resolves.toEqualTypeOf<number>();
        return { length: input.text.length };
      },
    });
    expectTypeOf(counted).toEqualTypeOf<Agent<{ text: string }, { length: number }>>();
    const checked = agent({ output: z.object({ ok: z.boolean() }), run: () => ({ ok: true }) });
    expectTypeOf(checked).toEqualTypeOf<Agent<Json, { ok: boolean }>>();
    // @ts-expect-error the output schema wants a boolean
    () => agent({ output: z.object({ ok: z.boolean() }), run: () => ({ ok: "yes" }) });
  });

  test("a fleet knows its workflows, their inputs and their outputs", () => {
    type Newsroom = typeof newsroom;
    expectTypeOf<WorkflowName<Newsroom>>().toEqualTypeOf<"article">();
    expectTypeOf<WorkflowInput<Newsroom, "article">>().toEqualTypeOf<{ topic: string }>();
    expectTypeOf<WorkflowOutput<Newsroom, "article">>().toEqualTypeOf<{ markdown: string }>();
    const any = workflow({ pattern: teamPattern, options: {} });
    const open = () => fleet({ name: "f", agents: {}, workflows: { any, team: team({ lead: writer, workers: [] }) } });
    expectTypeOf<WorkflowName<ReturnType<typeof open>>>().toEqualTypeOf<"any" | "team">();
    expectTypeOf<WorkflowInput<ReturnType<typeof open>, "any">>().toEqualTypeOf<Json>();
    // @ts-expect-error agents are made by agent()
    () => fleet({ name: "f", agents: { publish }, workflows: {} });
  });
});
