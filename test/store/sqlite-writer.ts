// A process that commits to a store for ever and prints each version that was acknowledged; its parent kills it.
import { append, create, lease, ready, remove } from "../../src/conformance/store-sample.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";

const [path = ""] = process.argv.slice(2);
const store = await openSqliteStore(path, { fleet: "f" });
let { version } = await store.head("run");
if (version === 0) await store.commit([create("run")]);
version = Math.max(version, 1);
for (;;) {
  // Three journals' worth of change in one transaction: whole or not at all.
  const task = `t${version}`;
  const [first, second] = await store.commit([
    append("run", version, {
      tasks: [lease(task), remove(`t${version - 5}`)],
      timers: [{ op: "set", name: task, dueAt: version }],
    }),
    append("mirror", version - 1, { tasks: [ready(task)] }),
  ]);
  if (!first?.ok || !second?.ok) throw new Error(`refused: ${JSON.stringify([first, second])}`);
  version++;
  process.stdout.write(`${version}\n`);
}
