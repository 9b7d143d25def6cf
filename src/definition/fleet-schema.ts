import { z } from "zod";
import type { Json } from "../core/json.ts";
import type { Pattern } from "../pattern/pattern.ts";
import { FleetShape, PatternModuleShape, workflowFields } from "./yaml-shape.ts";

type SchemaObject = Record<string, Json>;

/** The JSON Schema of `fleet.yaml` for editors, from the very schemas that check it. Draft 7, since that is what
 *  editors' YAML support understands in full. A workflow's keys depend on its pattern. */
export function fleetSchema(patterns: Iterable<Pattern>): SchemaObject {
  const definitions: SchemaObject = {};
  const convert = (schema: z.ZodType, name: string) => toDraft7(schema, name, definitions);
  const fleet = convert(FleetShape, "fleet");
  const properties = propertiesOf(fleet);
  const workflows = [...[...patterns].map((pattern) => ofPattern(pattern, convert)), ofOwnPattern(convert)];
  return {
    ...fleet,
    title: "Flotilla fleet",
    description: "A fleet of agents: providers, tools, agents and the workflows that coordinate them.",
    properties: {
      ...properties,
      workflows: { ...(properties.workflows as SchemaObject), additionalProperties: { anyOf: workflows } },
    },
    definitions,
  };
}

type Convert = (schema: z.ZodType, name: string) => SchemaObject;

function ofPattern(pattern: Pattern, convert: Convert): SchemaObject {
  const name = z.literal(pattern.name).describe("How the agents work together.");
  const common = convert(z.strictObject({ ...workflowFields, pattern: name }), "workflow");
  const own = convert(pattern.options, pattern.name);
  return {
    ...common,
    title: `${pattern.name} workflow`,
    properties: { ...propertiesOf(common), ...propertiesOf(own) },
    required: [...requiredOf(common), ...requiredOf(own)],
  };
}

function ofOwnPattern(convert: Convert): SchemaObject {
  const pattern = PatternModuleShape.describe("Your own pattern: { module: ./mine.ts#pattern }.");
  const schema = convert(z.looseObject({ ...workflowFields, pattern }), "workflow");
  return { ...schema, title: "workflow of a pattern of your own" };
}

function propertiesOf(schema: SchemaObject): SchemaObject {
  return (schema.properties ?? {}) as SchemaObject;
}

function requiredOf(schema: SchemaObject): readonly Json[] {
  return (schema.required ?? []) as readonly Json[];
}

/** Recursive parts go into `definitions`, under names that start with `name`, since parts are put together. */
function toDraft7(schema: z.ZodType, name: string, definitions: SchemaObject): SchemaObject {
  const converted = JSON.stringify(z.toJSONSchema(schema, { target: "draft-7", io: "input", unrepresentable: "any" }));
  const { definitions: own = {}, ...rest } = JSON.parse(
    converted.replaceAll('"#/definitions/', `"#/definitions/${name}-`),
  ) as SchemaObject;
  for (const [key, value] of Object.entries(own as SchemaObject)) definitions[`${name}-${key}`] = value;
  if (name !== "fleet") delete rest.$schema;
  return rest;
}

/** The text of the published schema file. */
export function fleetSchemaText(patterns: Iterable<Pattern>): string {
  return `${JSON.stringify(fleetSchema(patterns), null, 2)}\n`;
}
