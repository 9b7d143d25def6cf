#!/usr/bin/env node
// Nothing may be imported here: an older Node must be able to read this file, so that it can say what it lacks.

const NODE_MAJOR_MIN = 24;

if (Number(process.versions.node.split(".")[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(`FLT610 flotilla needs Node ${NODE_MAJOR_MIN} or newer; this is ${process.version}\n`);
  process.exitCode = 2;
} else {
  const { main } = await import("./main.ts");
  process.exitCode = await main(process.argv.slice(2));
}
