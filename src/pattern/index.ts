import { choreographyPattern } from "./choreography.ts";
import { debatePattern } from "./debate.ts";
import { graphPattern } from "./graph.ts";
import { hierarchyPattern } from "./hierarchy.ts";
import type { Pattern } from "./pattern.ts";
import { pipelinePattern } from "./pipeline.ts";
import { plannerPattern } from "./planner.ts";
import { supervisorPattern } from "./supervisor.ts";
import { swarmPattern } from "./swarm.ts";

/** The built-in patterns by name (C3). */
export const patterns: ReadonlyMap<string, Pattern> = new Map(
  [
    graphPattern,
    pipelinePattern,
    supervisorPattern,
    debatePattern,
    swarmPattern,
    hierarchyPattern,
    plannerPattern,
    choreographyPattern,
  ].map((pattern) => [pattern.name, pattern]),
);
