// Runs after `npm ci` in a clone. npm links the Node that tools/node24 brings to node_modules/.bin/node by itself; but
// npm 10, when it drops the packages of other platforms at the end, drops that link with them. This puts it back.
// Written so that any Node can run it.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(here, "..", "..", "node_modules");
const windows = process.platform === "win32";
const link = join(modules, ".bin", windows ? "node.cmd" : "node");

const { optionalDependencies } = readJson(join(here, "package.json"));
const brought = Object.keys(optionalDependencies).find((name) => existsSync(join(modules, name, "package.json")));

if (brought === undefined) {
  if (Number(process.versions.node.split(".")[0]) < 24) {
    console.error(`npm has no Node 24 for ${process.platform}-${process.arch}; install Node 24 yourself to go on.`);
  }
} else if (!existsSync(link)) {
  const binary = join(modules, brought, readJson(join(modules, brought, "package.json")).bin.node);
  const target = relative(dirname(link), binary);
  mkdirSync(dirname(link), { recursive: true });
  if (windows) writeFileSync(link, `@"%~dp0\\${target}" %*\r\n`);
  else symlinkSync(target, link);
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}
