import type { Json } from "../core/json.ts";
import type { FleetControl } from "../runtime/app-contract.ts";
import { type Redactor, redactJson } from "../telemetry/redact.ts";

/** A fleet's control that takes known secrets out of whatever a person types: notes, reasons, inputs and answers go on
 *  record (X8). */
export function cleanControl(control: FleetControl, redact: Redactor): FleetControl {
  const cleaned = (value: unknown): unknown =>
    typeof value === "string" || isPlain(value) ? redactJson(redact, value as Json) : value;
  return new Proxy(control, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== "function") return member;
      return (...given: unknown[]) => Reflect.apply(member, target, given.map(cleaned)) as unknown;
    },
  });
}

/** Lists and objects of data; signals and the like are passed on as they are. */
function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return true;
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
