// Where a decision was counted, so that it is corrected there and nowhere else. Redis has never counted what a failure
// policy admitted, and the Local provider that stands in for Redis has never counted what Redis did.

import type { Awaitable, Decision } from "./types.ts";

/** Corrects what was counted for a key. */
export interface Recorder {
  adjust(key: string, delta: number): Awaitable<unknown>;
}

const recorders = new WeakMap<object, Recorder>();

/** Says that a limiter's own decisions are corrected by `recorder`, for its `adjust` may turn to somebody else. */
export function setRecorder(limiter: object, recorder: Recorder): void {
  recorders.set(limiter, recorder);
}

/** The decision of a failure policy, which `recorder` has counted. */
export function recordedBy(decision: Decision, recorder: Recorder): Decision {
  recorders.set(decision, recorder);
  return decision;
}

/** Who corrects what a limiter counted, or what was counted with a failure policy's decision; undefined for nobody. */
export function recorderOf(counter: object): Recorder | undefined {
  return recorders.get(counter);
}
