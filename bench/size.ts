/** How much of everything one round does. */
export interface Size {
  /** W1: runs, one at a time. */
  single: number;
  /** W2: runs of ten tasks, one at a time. */
  pipelines: number;
  /** W3: runs of ten tasks. */
  diamonds: number;
  /** W3: runs under way at a time. */
  inFlight: number;
  /** W4: how often the start and the resume are timed. */
  starts: number;
  /** W5: tasks of the small and of the large fan-out. */
  fanSmall: number;
  fanLarge: number;
  /** W8: conversations of twenty steps. */
  conversations: number;
  /** Samples of each raw limit. */
  limits: number;
}

export const FULL: Size = {
  single: 500,
  pipelines: 100,
  diamonds: 2_000,
  inFlight: 256,
  starts: 5,
  fanSmall: 1_000,
  fanLarge: 10_000,
  conversations: 20,
  limits: 60,
};

/** Enough to see that everything works, and a rough figure. */
export const QUICK: Size = {
  single: 40,
  pipelines: 8,
  diamonds: 60,
  inFlight: 32,
  starts: 1,
  fanSmall: 40,
  fanLarge: 160,
  conversations: 2,
  limits: 10,
};
