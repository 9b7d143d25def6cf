import type { Settlement } from "../../pattern/resolve.ts";
import type { CheckerMaker } from "./checker.ts";

/** A disagreement is settled by an answer that somebody gave, and by the one with the most behind it unless it is a tie. */
export const settled: CheckerMaker = (_scene, fail) => {
  const given = new Map<string, Set<string>>();
  const chosen = new Set<string>();
  return {
    promise: "C9: disagreement is settled by an answer that was given, as its policy says",
    event({ journal, type, data: { task = "", choice }, payload }) {
      if (type === "escalation.decided" && choice === "choose") chosen.add(`${journal} ${task}`);
      if (type !== "task.completed") return;
      const output = payload?.output;
      const answers = given.get(journal) ?? new Set();
      given.set(journal, answers);
      if (chosen.has(`${journal} ${task}`) && !answers.has(JSON.stringify(output)))
        fail(`${task} of ${journal} was settled by a person's choice of an answer that nobody gave`);
      if (!task.endsWith("/settle")) {
        answers.add(JSON.stringify(output));
        // A counter of a negotiation is an answer too.
        answers.add(JSON.stringify((output as { answer?: unknown } | null | undefined)?.answer));
        return;
      }
      const { answer, counts, tie, by } = output as unknown as Settlement;
      if (answer === undefined) return;
      if (!answers.has(JSON.stringify(answer))) fail(`${task} of ${journal} was settled by an answer that nobody gave`);
      const most = Math.max(...counts.map(({ weight }) => weight));
      const leading = counts.filter(({ weight }) => weight === most);
      if (tie === null && counts.length > 1 && (leading.length > 1 || by === "negotiation"))
        fail(`${task} of ${journal} was settled by ${by} although it was a tie`);
    },
  };
};
