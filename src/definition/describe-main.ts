import type { ModuleRef } from "../core/definition.ts";
import { describeModules } from "./describe.ts";
import { moduleKey } from "./module.ts";

// The process of `describeElsewhere`: an answer for each module, then it ends, whatever the modules have started.
process.once("message", (question: { folder: string; refs: ModuleRef[] }) => {
  void answer(question.folder, question.refs);
});

async function answer(folder: string, refs: readonly ModuleRef[]): Promise<void> {
  for (const ref of refs) {
    const key = moduleKey(ref);
    const { [key]: description } = await describeModules(folder, [ref]);
    await new Promise<void>((sent) => process.send?.({ key, description }, () => sent()));
  }
  process.exit(0);
}
