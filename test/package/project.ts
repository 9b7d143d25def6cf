import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
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

/** Builds and packs `tree`, as `npm publish` would. @throws when it does not compile */
export function pack(tree = root): Tarball {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-pack-"));
  const output = npm(tree, "pack", "--json", "--pack-destination", folder);
  const report = JSON.parse(output.slice(output.search(/^[[{]/m))) as PackReport[] | Record<string, PackReport>;
  const packed = (Array.isArray(report) ? report : Object.values(report))[0] as PackReport;
  return {
    path: join(folder, packed.filename),
    files: packed.files.map(({ path }) => path),
    sizeBytes: packed.size,
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** As `pack`, of a copy of the repository: tests that run at the same time do not build in each other's way. */
export function packCopy(): Tarball {
  const tree = mkdtempSync(join(tmpdir(), "flotilla-tree-"));
  try {
    const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
    const needed = ["package.json", "tsconfig.json", "tsconfig.build.json", "src", "tools", ...files];
    for (const name of needed.filter((name) => name !== "dist"))
      cpSync(join(root, name), join(tree, name), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(tree, "node_modules"), "junction");
    return pack(tree);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
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
  /** Runs shell commands, up to the first that fails, as somebody types them: on this Node, without a terminal. What
   *  they leave running in the background is ended. */
  shell(script: string): Promise<{ status: number; output: string }>;
}

/** A fresh project with the package installed, and `files` (a folder beside this file) in it.
 *
 *  Where the registry must be there (FLOTILLA_REQUIRE_SERVICES, as in CI) npm installs the tarball. Elsewhere nothing
 *  needs the network: the tarball is unpacked, and only the dependencies that it declares are linked beside it, so that
 *  one that is used and not declared is missed all the same. What is in `link` is linked from this repository. */
export function createProject(tarball: Tarball, files: string, link: readonly string[]): Project {
  const folder = emptyProject();
  cpSync(join(import.meta.dirname, files), folder, { recursive: true });
  if (process.env.FLOTILLA_REQUIRE_SERVICES) install(folder, tarball);
  else unpack(folder, tarball);
  for (const name of ["typescript", "@types/node", ...link]) linkPackage(folder, name);
  return projectIn(folder);
}

/** An empty project that has what another one has installed. */
export function createSibling(of: Project): Project {
  const folder = emptyProject();
  symlinkSync(join(of.folder, "node_modules"), join(folder, "node_modules"), "junction");
  return projectIn(folder);
}

function emptyProject(): string {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-project-"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "project", private: true, type: "module" }));
  return folder;
}

function projectIn(folder: string): Project {
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
    shell: (script) => shell(script, folder),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function shell(script: string, cwd: string): Promise<{ status: number; output: string }> {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH ?? ""}` };
  // A group of its own, so that nothing of it outlives the test.
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const hanging = setTimeout(() => endGroup(child.pid), TIME_MAX_MS);
  const [status] = (await once(child, "exit")) as [number | null];
  clearTimeout(hanging);
  endGroup(child.pid);
  return { status: status ?? 1, output };
}

function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, "SIGKILL");
  } catch (error) {
    // Nothing of it is left.
    if ((error as { code?: string }).code !== "ESRCH") throw error;
  }
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
