import { expect, test } from "vitest";
import type { Command } from "../../src/core/command.ts";
import { FleetAccounts } from "../../src/runtime/accounts.ts";
import { openMemoryStore } from "../../src/store/memory.ts";
import { type Desk, desk, work } from "../core/desk.ts";

const DRAWN = { account: "fleet", window: "total" };

/** A run that draws on the fleet's account, and what the coordinator knows of that. */
function spender(): { at: Desk; accounts: FleetAccounts; tell(): void } {
  const accounts = new FleetAccounts(openMemoryStore({ fleet: "f" }));
  accounts.budgets = {
    fleet: [{ per: "total", tokensMax: 1_000, costMicroUsdMax: null }],
    workflows: {},
    agents: {},
  };
  const at = desk([work("a"), work("b")], { accounts });
  at.assign("a");
  let told = 0;
  const tell = () => {
    accounts.decided(at.state, at.events.slice(told));
    told = at.events.length;
  };
  return { at, accounts, tell };
}

const reserve = (tokens: number) =>
  ({
    type: "call.reserve",
    task: "a",
    attempt: 1,
    call: "m/1",
    model: "m",
    tokens,
    costMicroUsd: null,
  }) satisfies Command;

test("K2, C12: what a run has drawn and used up is nothing that others could wait for", async () => {
  const { at, accounts, tell } = spender();
  await accounts.load(accounts.terms("x", at.state.workflow, 0));
  at.send(reserve(900));
  tell();
  expect(accounts.othersHold(DRAWN.account, DRAWN.window, "another")).toBe(true);
  const usage = { inputTokens: 900, outputTokens: 0, costMicroUsd: null, simulated: false };
  at.step("a", { phase: "completed", key: "m", kind: "model", call: "m/1", usage });
  tell();
  expect(accounts.othersHold(DRAWN.account, DRAWN.window, "another")).toBe(false);
});

test("K2: what a call that is under way has reserved may still come back, whatever was given back before", async () => {
  const { at, accounts, tell } = spender();
  await accounts.load(accounts.terms("x", at.state.workflow, 0));
  at.send(reserve(100));
  at.send({ type: "budget.return" });
  tell();
  expect(accounts.othersHold(DRAWN.account, DRAWN.window, "another")).toBe(true);
  at.send({ type: "run.stop", why: "enough", by: "me" });
  tell();
  expect(accounts.othersHold(DRAWN.account, DRAWN.window, "another")).toBe(false);
});
