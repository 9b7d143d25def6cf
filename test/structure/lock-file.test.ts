import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "./source.ts";

interface Locked {
  version?: string;
  resolved?: string;
  integrity?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  deprecated?: string;
  optionalDependencies?: Record<string, string>;
}

const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  packages: Record<string, Locked>;
};
const fetched = Object.entries(packages).filter(
  ([path, { link }]) => path.startsWith("node_modules/") && link !== true,
);

test("the lock file names no address, so that any registry serves it", () => {
  expect(fetched.filter(([, { resolved }]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
});

test("what is fetched is pinned by its content", () => {
  expect(fetched.filter(([, { version, integrity }]) => !version || !integrity).map(([path]) => path)).toEqual([]);
});

test("the packages of every platform are locked, so that a clone installs on each", () => {
  const missing = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
    Object.keys(optionalDependencies).filter((name) => packages[`node_modules/${name}`] === undefined),
  );
  expect(missing).toEqual([]);
});

test("nothing compiles or downloads when it is installed, and nothing is deprecated", () => {
  expect(fetched.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([path]) => path)).toEqual([]);
  expect(fetched.filter(([, { deprecated }]) => deprecated !== undefined).map(([path]) => path)).toEqual([]);
});
