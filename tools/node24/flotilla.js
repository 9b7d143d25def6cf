#!/usr/bin/env node
// Lets `npx flotilla` and npm scripts start the command from source inside this repository. Written so that any Node
// can parse it: whoever starts it past npm, on an old Node, reads one line instead of a stack.
if (Number(process.versions.node.split(".")[0]) < 24) {
  console.error(`FLT610 Flotilla needs Node 24 or newer; this is ${process.version}. In this repository: npx flotilla`);
  process.exit(2);
}
await import("../../src/cli/bin.ts");
