import type { z } from "zod";
import { FlotillaError } from "../error.ts";
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

/** Arguments of a call at run time, checked as `checkOptions` checks declarations.
 *  @throws {FlotillaError} OPTION_INVALID, all mistakes at once */
export function checkArguments<Shape extends z.ZodType>(what: string, shape: Shape, given: unknown): z.output<Shape> {
  const result = shape.safeParse(given);
  if (result.success) return result.data;
  const findings = zodFindings(result.error.issues, { schema: shape, input: given, subject: `${what}()` });
  const [first] = findings;
  throw new FlotillaError("OPTION_INVALID", findings.map(({ message }) => message).join("; "), {
    ...(first?.hint === undefined ? {} : { hint: first.hint }),
    details: { problems: findings.map(({ message, path }) => ({ message, path })) },
  });
}
