import { FULL, type Measured, measureDiamonds, measureFan, measurePipeline, measureSingle, QUICK, type Size } from "./measure.ts";
import type { Mode, StoreKind } from "./subject.ts";

// One round of one workload in a process of its own, so that no workload finds the memory and the compiled code of
// another. Told by its parent what to do, it answers with what it measured.

/** What a process of the benchmark is asked to do. */
export interface Errand {
  measure: keyof typeof MEASURES;
  mode: Mode;
  store: StoreKind;
  quick: boolean;
}

const MEASURES = {
  W1: measureSingle,
  W2: measurePipeline,
  W3: measureDiamonds,
  W5: measureFan,
} satisfies Record<string, (mode: Mode, store: StoreKind, size: Size) => Promise<Measured>>;

if (process.argv[2] !== undefined) {
  // By hand, under a profiler: node --cpu-prof bench/measure-main.ts '{"measure":"W3","mode":"library",…}'
  console.log(JSON.stringify(await perform(JSON.parse(process.argv[2]) as Errand)));
} else {
  process.once("message", (errand) => {
    perform(errand as Errand).then((measured) => {
      process.send?.(measured);
      process.disconnect();
    });
  });
}

function perform({ measure, mode, store, quick }: Errand): Promise<Measured> {
  return MEASURES[measure](mode, store, quick ? QUICK : FULL);
}
