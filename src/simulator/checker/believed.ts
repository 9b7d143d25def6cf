import type { CheckerMaker } from "./checker.ts";

/** No message is acted on unless it was checked: each result on record came with a proof of its sender,
 *  and no proof counts twice. */
export const believed: CheckerMaker = (_scene, fail) => {
  const proofs = new Set<string>();
  return {
    promise: "7: no message is acted on unless origin, recipient, type, age and uniqueness were checked",
    event({ data: { proof }, journal }) {
      if (proof === undefined) return;
      const name = `${proof.session}/${proof.seq}/${proof.digest}`;
      if (proofs.has(name)) fail(`frame ${name} was acted on twice, last in ${journal}`);
      proofs.add(name);
    },
  };
};
