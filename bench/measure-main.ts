import * as measures from "./measure.ts";
import { FULL, QUICK } from "./size.ts";
import type { Mode, StoreKind } from "./subject.ts";

// One round of one workload in a process of its own, so that none finds the memory and the compiled code of another.
// Its parent says what to do; by hand, under a profiler, the first argument does:
//   node --cpu-prof bench/measure-main.ts '{"workload":"W3","mode":"library","store":"sqlite","quick":false}'

/** What a process of the benchmark is asked to do. */
export interface Errand {
  workload: Workload;
  mode: Mode;
  store: StoreKind;
  quick: boolean;
}

export type Workload = keyof typeof MEASURES;

const MEASURES = {
  W1: measures.measureSingle,
  W2: measures.measurePipeline,
  W3: measures.measureDiamonds,
  W4: measures.measureStarts,
  W5: measures.measureFan,
  W8: measures.measureConversations,
};

const { argv } = process;
if (argv[2] !== undefined) console.log(JSON.stringify(await perform(JSON.parse(argv[2]) as Errand)));
else process.once("message", (errand) => void answer(errand as Errand));

async function answer(errand: Errand): Promise<void> {
  process.send?.(await perform(errand));
  process.disconnect();
}

function perform({ workload, mode, store, quick }: Errand): Promise<measures.Measured> {
  return MEASURES[workload](mode, store, quick ? QUICK : FULL);
}
