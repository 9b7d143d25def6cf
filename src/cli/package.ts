import { fileURLToPath } from "node:url";

/** The path of a file that this package brings, in the repository as well as installed. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
