import { bucketsOf } from "./bucket.ts";
import { hypothesis } from "./catalogue.ts";
import type { LogIndex } from "./log-index.ts";
import { type Trouble, troubleIn } from "./trouble.ts";
import { type Weight, weighAll } from "./weigh.ts";

/** What the evidence allows to say, by rules that are written down here and nowhere else. */
export interface Verdict {
  verdict: "cause found" | "no cause found";
  /** The hypothesis; null without a cause. */
  cause: string | null;
  label: string;
  why: string[];
  /** All hypotheses that show any sign, best first. */
  table: Pick<Weight, "hypothesis" | "label" | "score" | "coverage" | "precision" | "dose" | "named" | "comesFirst">[];
}

const SCORE_MIN = 0.55;
const COVERAGE_MIN = 0.4;
const PRECISION_MIN = 0.4;
/** By how much a cause must beat the best one of another family. */
const MARGIN_MIN = 0.1;
/** In fewer pieces of time than this anything goes with anything, so the lines of harm must name the cause, or an event
 *  must come right before them. */
const PIECES_MIN = 3;
const NAMED_MIN = 0.6;

/** Decides between hypotheses that were argued for. What scores lower, or has another's signs too, loses; what is not
 *  backed by enough evidence is not a cause, whoever argued for it. */
export function judge(index: LogIndex, argued: readonly string[]): Verdict {
  const weights = weighAll(index);
  const table = weights.map(({ hypothesis, label, score, coverage, precision, dose, named, comesFirst }) => {
    return { hypothesis, label, score, coverage, precision, dose, named, comesFirst };
  });
  const none = (...why: string[]): Verdict => ({
    verdict: "no cause found",
    cause: null,
    label: "No cause found",
    why,
    table,
  });
  const trouble = troubleIn(index);
  if (trouble === null)
    return none("the log tells of no trouble: there is no stretch of time with more harm than usual");
  const harm = `${trouble.symptoms} lines of harm (${trouble.firstLine}–${trouble.lastLine})`;
  if (trouble.hole !== null) {
    const { after, before, seconds } = trouble.hole;
    return none(
      `between lines ${after} and ${before} nothing was logged for ${seconds} s, right before ${harm}: how they began is not in the log`,
    );
  }
  const [best, ...others] = weights.filter(({ hypothesis }) => argued.includes(hypothesis));
  if (best === undefined) return none(`there are ${harm}, and no signs of a known cause`);
  const weak = weaknesses(best, trouble);
  if (weak.length > 0)
    return none(`the best explanation of ${harm}, ${lower(best.label)}, is not backed: ${weak.join("; ")}`);
  const rival = others.find(({ family }) => family !== best.family);
  if (rival !== undefined && best.score - rival.score < MARGIN_MIN) {
    return none(
      `${lower(best.label)} (${best.score}) and ${lower(rival.label)} (${rival.score}) explain ${harm} equally well`,
    );
  }
  return {
    verdict: "cause found",
    cause: best.hypothesis,
    label: best.label,
    why: reasons(best, rival, weights),
    table,
  };

  function weaknesses(best: Weight, { bad, symptoms, firstLine }: Trouble): string[] {
    const { score, coverage, precision, named, first } = best;
    const { width, unit } = bucketsOf(index);
    const leads = hypothesis(best.hypothesis).lasts === "event" && first !== null && first <= firstLine;
    return [
      ...(score < SCORE_MIN ? [`it scores ${score}, less than ${SCORE_MIN}`] : []),
      ...(coverage < COVERAGE_MIN ? [`it covers ${coverage} of the harm, less than ${COVERAGE_MIN}`] : []),
      ...(precision < PRECISION_MIN ? [`harm goes with ${precision} of its signs, less than ${PRECISION_MIN}`] : []),
      ...(bad.size < PIECES_MIN && named < NAMED_MIN && !leads
        ? [`the harm lasts less than ${PIECES_MIN * width} ${unit}, and ${named} of ${symptoms} lines name it`]
        : []),
    ];
  }
}

function reasons(best: Weight, rival: Weight | undefined, all: readonly Weight[]): string[] {
  const kin = all.filter(({ family, hypothesis }) => family === best.family && hypothesis !== best.hypothesis);
  return [
    `${lower(best.label)} scores ${best.score}${rival === undefined ? "" : `, ${lower(rival.label)} ${rival.score}`}`,
    ...best.pro.map(({ says }) => says),
    ...(rival?.contra ?? []).map(({ says }) => `against ${lower(rival?.label ?? "")}: ${says}`),
    ...kin.map(({ label, score }) => `${lower(label)} (${score}) goes along with it: the two bring each other about`),
  ];
}

export const lower = (label: string): string => label.charAt(0).toLowerCase() + label.slice(1);
