import { bitOf, hypothesis, signIn } from "./catalogue.ts";
import { type Change, circumstances, type Circumstances } from "./change.ts";
import { clock, linesWhere, type LogIndex, type Quote, quote, SYMPTOM } from "./log-index.ts";
import { type Trouble, troubleIn } from "./trouble.ts";
import { lower } from "./verdict.ts";
import { spaced, weigh } from "./weigh.ts";

/** What an investigation ends with, for people and programs. */
export interface Finding {
  verdict: "cause found" | "no cause found";
  cause: string | null;
  label: string;
  component: string;
  /** From the first sign to the last harm. */
  lines: { from: number; to: number } | null;
  trigger: Change | null;
  recovery: Change | null;
  evidence: Quote[];
  timeline: (Quote & { what: string })[];
  harmed: Circumstances["harmed"];
  action: string;
  summary: string;
}

/** Puts together what the log holds about a cause that was decided on, or about the lack of one (`cause` null).
 *  @throws {RangeError} for an unknown hypothesis */
export function findingOf(index: LogIndex, cause: string | null): Finding {
  const around = cause === null ? null : circumstances(index, cause);
  const trouble = troubleIn(index);
  const weight = cause === null ? null : weigh(index, cause);
  if (cause === null || around === null || trouble === null || weight === null) return nothing(trouble);
  const { label, aid } = hypothesis(cause);
  const from = Math.min(weight.first ?? trouble.firstLine, trouble.firstLine);
  const lines = { from, to: trouble.lastLine };
  const { trigger } = around;
  return {
    verdict: "cause found",
    cause,
    label,
    component: around.component,
    lines,
    trigger,
    recovery: around.recovery,
    evidence: evidenceOf(index, cause, lines),
    timeline: timelineOf(index, weight.first, trouble, around),
    harmed: around.harmed,
    action: actionOf(around, aid),
    summary: `Cause: ${lower(label)}${placeOf(around)}${when(index, lines)}${trigger === null ? "" : `, set off by line ${trigger.line}`}`,
  };
}

function nothing(trouble: Trouble | null): Finding {
  return {
    verdict: "no cause found",
    cause: null,
    label: "No cause found",
    component: "",
    lines: null,
    trigger: null,
    recovery: null,
    evidence: [],
    timeline: [],
    harmed: [],
    action:
      trouble === null
        ? "none: the log tells of no trouble"
        : `look at lines ${trouble.firstLine}–${trouble.lastLine}, and at what other logs say of that time`,
    summary: "No cause found",
  };
}

const placeOf = ({ component }: Circumstances): string => (component === "" ? "" : ` in ${component}`);

function when(index: LogIndex, { from, to }: { from: number; to: number }): string {
  const [start, end] = [clock(index, from), clock(index, to)];
  return `${start === null ? "" : ` ${start}–${end}`} (lines ${from}–${to})`;
}

/** The first line of each sign; when there is only one sign, also one from the middle and the last. */
function evidenceOf(index: LogIndex, cause: string, { from, to }: { from: number; to: number }): Quote[] {
  const bit = bitOf(cause);
  const lines = linesWhere(index, (mark) => (mark & bit) !== 0, { from, to });
  const firsts = quote(index, firstOfEachKind(index, lines));
  const bySign = new Map<string, Quote>();
  for (const found of firsts) {
    const { sign } = signIn(cause, found.text) ?? { sign: "" };
    if (!bySign.has(sign)) bySign.set(sign, found);
  }
  return bySign.size > 1 ? [...bySign.values()] : quote(index, spaced(lines, 3));
}

function firstOfEachKind(index: LogIndex, lines: readonly number[]): number[] {
  const firsts = new Map<number, number>();
  for (const line of lines) {
    const kind = index.kindOf[line - 1] ?? 0;
    if (!firsts.has(kind)) firsts.set(kind, line);
  }
  return [...firsts.values()];
}

function timelineOf(
  index: LogIndex,
  first: number | null,
  trouble: Trouble,
  around: Circumstances,
): Finding["timeline"] {
  const entries = [
    ...(around.trigger === null ? [] : [{ line: around.trigger.line, what: "change that set it off" }]),
    ...around.newKinds.map(({ line, times }) => ({
      line,
      what: `never seen before; ${times} times until the first harm`,
    })),
    ...(first === null ? [] : [{ line: first, what: "first sign" }]),
    { line: trouble.firstLine, what: "first harm" },
    { line: worstLine(index, trouble), what: "first line of the most frequent harm" },
    ...(around.recovery === null
      ? []
      : [{ line: around.recovery.line, what: `change after which it ended, ${around.recovery.ahead} later` }]),
    { line: trouble.lastLine, what: around.ended ? "last harm" : "last harm in the log; it goes on" },
  ];
  const sorted = entries.toSorted((a, b) => a.line - b.line);
  const quotes = quote(
    index,
    sorted.map(({ line }) => line),
  );
  return sorted.map(({ line, what }, place) => ({ line, what, text: quotes[place]?.text ?? "" }));
}

/** The first line of the most frequent kind of harm. */
function worstLine(index: LogIndex, { firstLine, lastLine }: Trouble): number {
  const firsts = new Map<number, { line: number; count: number }>();
  for (const line of linesWhere(index, (mark) => (mark & SYMPTOM) !== 0, { from: firstLine, to: lastLine })) {
    const kind = index.kindOf[line - 1] ?? 0;
    const seen = firsts.get(kind) ?? { line, count: 0 };
    firsts.set(kind, { ...seen, count: seen.count + 1 });
  }
  return [...firsts.values()].toSorted((a, b) => b.count - a.count)[0]?.line ?? firstLine;
}

/** A proposal: nothing carries it out. */
function actionOf({ trigger, component, ended, recovery }: Circumstances, aid: string): string {
  const what = component === "" ? "it" : component;
  const undo =
    trigger === null
      ? []
      : [
          trigger.from === null || trigger.to === null
            ? `undo the change of line ${trigger.line}`
            : `take ${what} back from ${trigger.to} to ${trigger.from} (line ${trigger.line})`,
        ];
  const already =
    ended && recovery !== null ? [`line ${recovery.line} seems to have ended it; make sure that it stays so`] : [];
  return [...undo, ...already, aid].join("; ");
}
