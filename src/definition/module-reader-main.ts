import { provideOwnPackage } from "../platform/own-package.ts";
import { modulesHere } from "./module-reader.ts";
import type { Answer, Question } from "./module-reader-process.ts";

// The process of `modulesElsewhere`: it answers until it is killed or its parent is gone.
provideOwnPackage();
const reader = modulesHere(process.argv[2] ?? process.cwd());
let asked = false;

process.on("message", (question: Question) => {
  asked = true;
  // While modules load, the channel does not keep the process alive: so a wait for nothing shows.
  process.channel?.unref();
  void answerTo(question).then(reply);
});
process.once("disconnect", () => process.exit(0));
process.on("beforeExit", () => {
  if (asked) reply({ error: "waits for ever while it is loaded (top-level await)" });
});

function reply(answer: Answer): void {
  asked = false;
  process.channel?.ref();
  process.send?.(answer);
}

async function answerTo({ ref, options }: Question): Promise<Answer> {
  try {
    if (options !== undefined) return { checked: await reader.checkOptions(ref, options) };
    return { description: await reader.describe(ref) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
