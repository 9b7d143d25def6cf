import { describe, expect, it } from "vitest";
import type { Json } from "../../src/core/json.ts";
import { swarmPattern } from "../../src/pattern/swarm.ts";
import { permanent, run, type Scenario } from "./engine.ts";

const lead = (name: string, more: object = {}) => ({ type: "lead", content: { name }, ...more });
const echo: Scenario["script"] = ({ id }) => ({ output: `did ${id}` });
const swarm = (options: object, input: Json, script = echo, rest: Partial<Scenario> = {}) =>
  run({ pattern: swarmPattern, options, input, script, ...rest });
const routed = ({ events }: ReturnType<typeof run>) =>
  events.flatMap(({ type, data }) => (type === "task.routed" ? [data] : []));

const scouts = {
  members: [
    { agent: "scout", takes: 'item.type == "lead"' },
    { agent: "closer", takes: 'item.type == "deal"' },
  ],
};

describe("C3: swarm", () => {
  it("gives each item to an agent that takes it, and ends when nothing is open", () => {
    const outline = swarm(scouts, [lead("a"), { type: "deal", content: 7 }]);
    expect(outline.started).toEqual(["lead/1", "deal/2"]);
    expect(outline.inputs.get("lead/1")).toEqual({
      request: [lead("a"), { type: "deal", content: 7 }],
      item: lead("a"),
    });
    expect(outline.state.output).toEqual({
      ended: "quiescence",
      done: [
        { id: "lead/1", type: "lead", content: { name: "a" }, by: "scout", result: "did lead/1" },
        { id: "deal/2", type: "deal", content: 7, by: "closer", result: "did deal/2" },
      ],
      failed: [],
      unclaimed: [],
      dropped: 0,
      open: 0,
    });
  });

  it("matches on content, and takes what an expression cannot speak of for no match", () => {
    const members = [
      { agent: "big", takes: "item.content.size > 5" },
      { agent: "rest", takes: "!has(item.content.size)" },
    ];
    const outline = swarm({ members }, [
      { type: "x", content: { size: 9 } },
      { type: "x", content: {} },
    ]);
    expect(routed(outline).map(({ task, agent }) => [task, agent])).toEqual([
      ["x/1", "big"],
      ["x/2", "rest"],
    ]);
  });

  it("lets no agent hold more than it may claim, and gives the next item to the least busy", () => {
    const members = [{ agent: "a", claimsMax: 2 }, { agent: "b" }];
    const outline = swarm(
      { members },
      Array.from({ length: 5 }, (_, i) => lead(`${i}`)),
    );
    expect(routed(outline).slice(0, 3)).toEqual([
      {
        task: "lead/1",
        agent: "a",
        why: "it claims it from the board",
        candidates: [
          { agent: "a", fits: true, load: 0 },
          { agent: "b", fits: true, load: 0 },
        ],
      },
      expect.objectContaining({ task: "lead/2", agent: "b" }),
      expect.objectContaining({
        task: "lead/3",
        agent: "a",
        candidates: [
          { agent: "a", fits: true, load: 1 },
          { agent: "b", fits: false, load: 1, why: "holds 1 of 1" },
        ],
      }),
    ]);
    expect(outline.started).toHaveLength(5);
  });

  it("gives out the most urgent of the items that wait", () => {
    const board = [lead("a"), lead("b", { priority: "LOW" }), lead("c", { priority: "HIGH" })];
    expect(swarm({ members: [{ agent: "a" }] }, board).started).toEqual(["lead/1", "lead/3", "lead/2"]);
  });

  const growing = {
    members: [
      { agent: "scout", takes: 'item.type == "lead"', adds: ["deal"] },
      { agent: "closer", takes: 'item.type == "deal"' },
    ],
    types: {
      lead: { type: "object" },
      deal: { type: "object", required: ["price"], properties: { price: { type: "number" } } },
    },
  };
  const finding =
    (...more: Json[]): Scenario["script"] =>
    ({ agent }) => ({ output: agent === "scout" ? { result: "seen", more } : "closed" });

  it("posts what finished work adds, to whom it tells where it comes from", () => {
    const outline = swarm(growing, [lead("a")], finding({ type: "deal", content: { price: 3 } }));
    expect(outline.started).toEqual(["lead/1", "deal/2"]);
    expect(outline.inputs.get("deal/2")).toMatchObject({ from: { item: "lead/1", by: "scout" } });
    expect(outline.state.output).toMatchObject({ done: [{ result: "seen" }, { result: "closed" }] });
  });

  it("holds who adds to the schema of what it may add", () => {
    const [first, second] = routed(swarm(growing, [lead("a")], finding({ type: "deal", content: { price: 3 } })));
    expect(first?.output).toMatchObject({
      properties: {
        more: { items: { anyOf: [{ properties: { type: { const: "deal" }, content: { required: ["price"] } } }] } },
      },
    });
    expect(second).not.toHaveProperty("output");
  });

  it("posts work of one key once (C11)", () => {
    const deal = { type: "deal", key: "acme", content: { price: 3 } };
    const outline = swarm(growing, [lead("a"), lead("b")], finding(deal, deal));
    expect(outline.started.filter((id) => id.startsWith("deal"))).toEqual(["deal/acme"]);
    expect(outline.state.output).toMatchObject({ ended: "quiescence", dropped: 0 });
  });

  it.each([
    ["content", { type: "deal", content: { price: "3" } }, /item 1 has a content in which \/price must be number/],
    ["type", { type: "boat", content: 1 }, /item 1 is of type "boat"; there are lead, deal/],
    ["form", { content: 1 }, /item 1, type: /],
  ])("fails with what adds a wrong %s", (_, item, message) => {
    const { state } = swarm(growing, [lead("a")], finding(item as Json));
    expect([state.status, state.error?.code]).toEqual(["failed", "OUTPUT_INVALID"]);
    expect(state.error?.message).toMatch(message);
  });

  it.each([
    ["null", null],
    ["text", "leads"],
    ["a wrong item", [{ type: 1, content: 1 }]],
  ])("refuses %s for a board", (_, input) => {
    expect(swarm(scouts, input).state.error).toMatchObject({
      code: "OUTPUT_INVALID",
      message: expect.stringMatching(/^the board/),
    });
  });

  it("reports what nobody takes, or fails with it", () => {
    const board = [lead("a"), { type: "boat", content: 1 }];
    const { state } = swarm(scouts, board);
    expect(state.output).toMatchObject({ unclaimed: [{ id: "boat/2", type: "boat", content: 1 }] });
    expect(swarm({ ...scouts, onUnclaimed: "fail" }, board).state.error).toMatchObject({
      code: "ITEM_UNCLAIMED",
      message: 'nobody in the swarm takes boat/2, of type "boat"',
    });
  });

  it("goes on after a failure and reports it, or fails with it", () => {
    const failing: Scenario["script"] = ({ id }) =>
      id === "lead/1" ? { error: permanent("no luck") } : { output: id };
    const { state } = swarm(scouts, [lead("a"), lead("b")], failing);
    expect(state.output).toMatchObject({
      done: [{ id: "lead/2" }],
      failed: [{ id: "lead/1", by: "scout", error: { message: "no luck" } }],
    });
    expect(swarm({ ...scouts, onFailed: "fail" }, [lead("a")], failing).state.error?.message).toBe("no luck");
  });

  it("ends as soon as its goal is met", () => {
    const goal = 'last.result == "did lead/2"';
    const { state, started } = swarm({ ...scouts, goal }, [lead("a"), lead("b"), lead("c")]);
    expect(started).toEqual(["lead/1", "lead/2"]);
    expect(state.output).toMatchObject({ ended: "goal", open: 1 });
    const all = swarm({ ...scouts, goal: "done.size() == 2" }, [lead("a"), lead("b"), lead("c")]);
    expect(all.state.output).toMatchObject({ ended: "goal" });
  });

  it("ends by its limit of items, and says how many it dropped", () => {
    const endless: Scenario["script"] = () => ({ output: { result: 1, more: [lead("x"), lead("y")] } });
    const members = [{ agent: "scout", adds: ["lead"] }];
    const { state, started } = swarm({ members, itemsMax: 4 }, [lead("a")], endless);
    expect(started).toHaveLength(4);
    expect(state.output).toMatchObject({ ended: "limit", dropped: 5 });
  });

  it("ends at once with an empty board", () => {
    expect(swarm(scouts, []).state.output).toMatchObject({ ended: "quiescence", done: [] });
  });

  it("makes its result of the board, and takes the board from an expression", () => {
    const options = { ...scouts, board: "${ input.leads }", result: { closed: "${ board.done.size() }" } };
    expect(swarm(options, { leads: [lead("a")] }).state.output).toEqual({ closed: 1 });
    expect(swarm(options, { boats: [] }).state.error?.code).toBe("EXPRESSION_FAILED");
  });

  it.each([
    [{ members: [] }, ["members"]],
    [{ members: [{ agent: "a" }, { agent: "a" }] }, ["members", 1]],
    [{ members: [{ agent: "a", takes: "itme.type" }] }, ["members", 0, "takes"]],
    [{ goal: "last." }, ["goal"]],
    [{ board: "${ nope }" }, ["board"]],
    [{ types: { lead: {} }, members: [{ agent: "a", adds: ["boat"] }] }, ["members", 0, "adds", 0]],
    [{ types: { lead: { type: "strnig" } } }, ["types", "lead", "type"]],
    [{ types: { lead: { $ref: "#/$defs/x", $defs: { x: {} } } } }, ["types", "lead"]],
  ])("refuses %j", (options, path) => {
    const { error } = swarmPattern.options.safeParse({ members: [{ agent: "a" }], ...options });
    expect(error?.issues.map((issue) => issue.path)).toEqual([path]);
  });
});
