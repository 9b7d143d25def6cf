import type { ToolCode } from "../definition/tool.ts";
import type { ToolRunner } from "./tool.ts";

/** A tool that is a TypeScript function. */
export function codeTool(code: ToolCode): ToolRunner {
  const { check } = code;
  return {
    call: (input, context) => code.run(input, context),
    check: check === null ? null : (input, context) => check(input, context),
  };
}
