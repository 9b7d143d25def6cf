import { modulesHere } from "./module-reader.ts";
import type { Answer, Question } from "./module-reader-process.ts";

// The process of `modulesElsewhere`: it answers until it is killed or its parent is gone.
const reader = modulesHere(process.argv[2] ?? process.cwd());

process.on("message", (question: Question) => {
  void answerTo(question).then((answer) => process.send?.(answer));
});
process.once("disconnect", () => process.exit(0));

async function answerTo({ ref, options }: Question): Promise<Answer> {
  try {
    if (options !== undefined) return { checked: await reader.checkOptions(ref, options) };
    return { description: await reader.describe(ref) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
