import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { root } from "../structure/source.ts";

/** Catches a hang: a program that waits for ever would hold up all tests. Milliseconds. */
const TIME_MAX_MS = 120_000;

/** The package as it would be published. */
export interface Tarball extends Disposable {
  path: string;
  /** Paths inside the package. */
  files: string[];
  sizeBytes: number;
}

/** Builds and packs, as `npm publish` would. @throws when it does not compile */
export function pack(): Tarball {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-pack-"));
  const output = npm(root, "pack", "--json", "--pack-destination", folder);
  const report = JSON.parse(output.slice(output.search(/^[[{]/m))) as PackReport[] | Record<string, PackReport>;
  const packed = (Array.isArray(report) ? report : Object.values(report))[0] as PackReport;
  return {
    path: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path),
    sizeBytes: packed.size,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

interface PackReport {
  filename: string;
  size: number;
  files: { path: string }[];
}

export interface Project extends Disposable {
  folder: string;
  /** Runs a program of the project with this Node; standard output. @throws with both outputs when it fails */
  node(...args: string[]): string;
  tsc(path: string): { status: number; output: string };
  /** Runs shell commands, up to the first that fails, as somebody types them: on this Node, without a terminal. */
  shell(script: string): { status: number; output: string };
}

/** A fresh project with the package installed, `files` (a folder beside this file) in it and `link` linked from here.
 *
 *  Where the registry must be there (FLOTILLA_REQUIRE_SERVICES, as in CI) npm installs the tarball. Elsewhere nothing
 *  needs the network: the tarball is unpacked, and only the dependencies that it declares are linked beside it, so that
 *  one that is used and not declared is missed all the same. */
export function createProject(
  tarball: Tarball,
  { files, link = [] }: { files?: string; link?: readonly string[] } = {},
): Project {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-project-"));
  if (files !== undefined) cpSync(join(import.meta.dirname, files), folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
  if (process.env.FLOTILLA_REQUIRE_SERVICES) install(folder, tarball);
  else unpack(folder, tarball);
  for (const name of ["typescript", "@types/node", ...link]) linkPackage(folder, name);
  return {
    folder,
    node: (...args) => run(process.execPath, args, folder),
    tsc: (path) => {
      const compiler = join(root, "node_modules/typescript/bin/tsc");
      const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, "-p", path], {
        cwd: folder,
        encoding: "utf8",
      });
      return { status: status ?? 1, output: stdout + stderr };
    },
    shell: (script) => {
      const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}` };
      const { status, stdout, stderr } = spawnSync("bash", ["-euo", "pipefail", "-c", script], {
        timeout: TIME_MAX_MS,
        cwd: folder,
        env,
        encoding: "utf8",
      });
      return { status: status ?? 1, output: stdout + stderr };
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function install(folder: string, tarball: Tarball): void {
  npm(folder, "install", "--prefer-offline", "--no-audit", "--no-fund", tarball.path);
}

function unpack(folder: string, tarball: Tarball): void {
  const target = join(folder, "node_modules", "flotilla");
  mkdirSync(target, { recursive: true });
  run("tar", ["-xzf", tarball.path, "--strip-components=1", "-C", target], folder);
  const { dependencies } = JSON.parse(readFileSync(join(target, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) linkPackage(folder, name);
  mkdirSync(join(folder, "node_modules", ".bin"));
  symlinkSync(join("..", "flotilla", "dist", "cli", "bin.js"), join(folder, "node_modules", ".bin", "flotilla"));
}

function linkPackage(folder: string, name: string): void {
  const path = join(folder, "node_modules", name);
  if (existsSync(path)) return;
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(join(root, "node_modules", name), path, "junction");
}

function npm(folder: string, ...args: string[]): string {
  // npm itself is a script: through a shell where commands are batch files.
  return run("npm", args, folder, process.platform === "win32");
}

function run(command: string, args: readonly string[], cwd: string, shell = false): string {
  const options = { cwd, shell, encoding: "utf8", maxBuffer: 1 << 26, timeout: TIME_MAX_MS } as const;
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} exited with ${status}\n${stdout}\n${stderr}`);
  return stdout;
}
