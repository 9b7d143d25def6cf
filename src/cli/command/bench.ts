import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { FlotillaError } from "../../error.ts";
import type { Context } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { packageFile } from "../package.ts";

/** `flotilla bench [workload…]`: the repository's benchmark, in a process of its own so that this one does not count. */
export async function run({ json, terminal }: Context, workloads: readonly (string | undefined)[]): Promise<ExitCode> {
  const main = packageFile("bench/main.ts");
  if (!existsSync(main)) {
    throw new FlotillaError("UNSUPPORTED", "the benchmark is not part of the installed package", {
      hint: "Run it from a clone of the repository: npm run bench",
    });
  }
  const args = [main, ...workloads.filter((one) => one !== undefined), ...(json ? ["--json"] : [])];
  const child = spawn(process.execPath, args, { stdio: "inherit", env: { ...terminal.env } as NodeJS.ProcessEnv });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject);
  child.once("close", resolve);
  const code = await promise;
  if (code === EXIT.usage) return EXIT.usage;
  return code === 0 ? EXIT.ok : EXIT.failed;
}
