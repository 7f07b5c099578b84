// How a strategy decides with what this process has of a key: `absolute.ts` and `suppressed.ts` are the two.

import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import type { Holder } from "./holder.ts";
import type { FactorArguments } from "./protocol.ts";
import type { Serving } from "./serving.ts";

/**
 * Only Redis can decide about a call. The number is the draw that the call has taken, or {@link NO_DRAW}. The call
 * keeps its draw until it is decided, because a new draw would deny calls that a draw has admitted already.
 */
export type Undecided = number;

/** The call has taken no draw. */
export const NO_DRAW: Undecided = -1;

/** What a strategy decides with what this process has of a key. */
export interface HolderStrategy {
  /**
   * The decision about a call, which is counted then. What the holder knows is of the present time and of the call's
   * rate.
   *
   * @param serving where the call has waited for an answer of Redis: what that answer gives
   * @param draw the one that the call has taken already, if any; default {@link NO_DRAW}
   */
  decide(holder: Holder, count: number, nowMs: number, serving?: Serving, draw?: Undecided): Decision | Undecided;
  /** Whether a call would be admitted, and its factor over the soft limit; undefined if only Redis can decide. */
  weigh(holder: Holder, count: number, nowMs: number): Weighed | undefined;
  /** The decision about a call that was weighed, which is counted then as the take says. */
  conclude(holder: Holder, weighed: Weighed, ask: WeighedAsk, nowMs: number): Decision;
  /** Whether a call that is denied is counted too. */
  readonly countsDenied: boolean;
  /** What Redis needs to compute the factor. */
  factorArguments(rate: Rate): FactorArguments;
}

/** What would become of a call. */
export interface Weighed {
  readonly admits: boolean;
  /** -1 for a call that meets no factor. */
  readonly factor: number;
  /** What the call has drawn, if it has. If Redis has to decide after all, the draw goes there. */
  readonly draw?: number;
}

/** A call of a take. */
export interface WeighedAsk {
  /** Its weight; 0 asks for a call of 1 and counts nothing. */
  readonly count: number;
  /** Whether all calls of the take were admitted. */
  readonly isTaken: boolean;
}
