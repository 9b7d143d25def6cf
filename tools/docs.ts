// Brings the reference up to date with the code. A test fails while it is not.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { referenceDocuments } from "./reference/document.ts";

const root = join(import.meta.dirname, "..");

for (const { path, text } of referenceDocuments(root)) {
  writeFileSync(join(root, path), text);
  console.log(path);
}
