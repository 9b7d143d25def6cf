import type { z } from "zod";
import { located } from "./finding.ts";
import { type ProblemPlace, refuse } from "./problem.ts";
import { userFrame } from "./stack.ts";
import { zodFindings } from "./zod-problem.ts";

/** Options of the TypeScript API, checked when they are given: Node strips types without checking them, and an option
 *  that is unknown must never be one that does nothing. @throws {FlotillaError} DEFINITION_*, all mistakes at once */
export function checkOptions<Shape extends z.ZodType>(what: string, shape: Shape, options: unknown): z.output<Shape> {
  const result = shape.safeParse(options);
  if (result.success) return result.data;
  const place: ProblemPlace = userFrame(new Error("options")) ?? {};
  const findings = zodFindings(result.error.issues, { schema: shape, input: options, subject: `${what}()` });
  refuse(findings.map((finding) => located(finding, place)));
  throw result.error;
}
