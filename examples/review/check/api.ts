import type { Change, ChangedFile } from "../git/change.ts";
import { type Exported, exportsOf } from "./export.ts";
import { finding, type Finding } from "./finding.ts";
import { isSource } from "./source.ts";

/** Names that a file exported before and does not any more, and functions that want other arguments. Looks at each file
 *  alone; whether a name was public, or lives on elsewhere, is for the sceptic to find out. */
export async function findApiBreaks(change: Change): Promise<Finding[]> {
  const files = change.files.filter(({ before, status }) => isSource(before) && status !== "added");
  return (await Promise.all(files.map((file) => breaksOf(change, file)))).flat();
}

async function breaksOf(change: Change, file: ChangedFile): Promise<Finding[]> {
  const before = exportsOf((await change.read("base", file.before)) ?? "", file.before);
  const after = exportsOf((await change.read("head", file.path)) ?? "", file.path);
  return before.flatMap((old): Finding[] => {
    const now = after.find(({ name }) => name === old.name);
    if (now === undefined)
      return [finding("export-removed", file.path, null, old.name, `\`${old.name}\` is not exported any more`)];
    const message = signatureChange(old, now);
    return message === null ? [] : [finding("signature-changed", file.path, now.line, old.name, message)];
  });
}

function signatureChange(old: Exported, now: Exported): string | null {
  if (old.parameters === null || now.parameters === null) return null;
  const [before, after] = [quickly(old.parameters), quickly(now.parameters)];
  if (after.required <= before.required && after.all >= before.all) return null;
  return `\`${old.name}(${oneLine(old.parameters)})\` became \`${now.name}(${oneLine(now.parameters)})\``;
}

/** Counts by commas, which is right for most. */
function quickly(parameters: string): { required: number; all: number } {
  const parts = parameters.split(",").filter((part) => part.trim() !== "");
  return { all: parts.length, required: parts.filter((part) => !/=|^\s*(?:\.\.\.|\*)|\?\s*:/.test(part)).length };
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim().slice(0, 100);
