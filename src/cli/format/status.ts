import type { TaskStatus } from "../../core/state.ts";
import type { RunStatus } from "../../store/store.ts";
import type { Paint } from "../paint.ts";

/** Each state has its sign and its word; colour only repeats them. */
export function runSign(status: RunStatus, paint: Paint): string {
  switch (status) {
    case "running":
      return paint.cyan("●");
    case "completed":
      return paint.green("✓");
    case "failed":
      return paint.red("✗");
    case "stopped":
      return paint.yellow("■");
  }
}

export function taskSign(status: TaskStatus, paint: Paint): string {
  switch (status) {
    case "completed":
      return paint.green("✓");
    case "failed":
      return paint.red("✗");
    case "skipped":
    case "cancelled":
      return paint.dim("–");
    case "assigned":
    case "open":
      return paint.cyan("●");
    case "delayed":
      return paint.yellow("↻");
    case "suspended":
    case "blocked":
    case "escalated":
      return paint.yellow("◐");
    case "ready":
    case "unbound":
    case "unrouted":
    case "waiting":
      return paint.dim("·");
  }
}

/** As much of a run's id as people need to read; any unique prefix is understood. */
export function shortId(run: string): string {
  const [root = "", ...children] = run.split(".");
  return [root.slice(0, "r-".length + 6), ...children].join(".");
}
