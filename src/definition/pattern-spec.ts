import type { z } from "zod";

/** What a definition needs to know of a pattern (C3): its name, the options that it takes, and what they refer to. */
export interface PatternSpec {
  readonly name: string;
  readonly options: z.ZodType;
  /** Names of the agents that parsed options refer to. */
  agents(options: never): readonly string[];
  /** Tasks that parsed options declare, for the check of cycles and unknown needs. */
  tasks?(options: never): readonly { id: string; needs: readonly string[] }[];
}
