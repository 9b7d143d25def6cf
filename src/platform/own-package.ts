import { registerHooks } from "node:module";

/** Packages that users' modules may import wherever they lie, also where nothing is installed: this one, and the
 *  schema library whose schemas its API takes. */
const OWN = new Map([
  ["flotilla", "index"],
  ["flotilla/simulator", "simulator/index"],
]);
const BROUGHT = new Set(["zod"]);

/** Lets users' modules in this process import `flotilla` and `zod` without installing them: `flotilla` is always this
 *  very package, since a definition must be made by the code that runs it; zod is theirs when they have one. */
export function provideOwnPackage(): void {
  registerHooks({
    resolve(specifier, context, next) {
      const own = OWN.get(specifier);
      if (own !== undefined) return { url: ownModule(own).href, shortCircuit: true };
      if (!BROUGHT.has(specifier)) return next(specifier, context);
      try {
        return next(specifier, context);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
        return next(specifier, { ...context, parentURL: import.meta.url });
      }
    },
  });
}

/** Where one of this package's own entries lies, for example `runtime/host-main`: in `src`, or built in `dist`, where the
 *  modules around it are in few files. */
export function ownModule(name: string): URL {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new URL(`../${name}.${extension}`, import.meta.url);
}
