// Takes on Local: several limits, checked as one.

import type { Ask, TakeDecisions } from "../core/family.ts";
import type { Decision } from "../core/types.ts";
import { allowed } from "../strategy/decision.ts";
import type { Cleanup } from "./cleanup.ts";
import { shardOf } from "./key-index.ts";
import type { LocalLimiter } from "./limiter.ts";

/**
 * Decides about the asks at `nowMs`, and counts them if each is admitted. `key` is the key of all; without it, each has
 * its own.
 *
 * Step by step for all keys, because then the processor waits for the memory of all at once: with a million keys a
 * take of three limits is a third faster.
 */
export function take(asks: readonly Ask[], key: string | undefined, nowMs: number, cleanup: Cleanup): TakeDecisions {
  return takePlainly(asks, key, nowMs) ?? takeInSteps(asks, key, nowMs, cleanup);
}

/**
 * Takes what is plain: all limits are absolute, know the key, and admit the call. Most takes are. On a hot key this
 * saves them a sixth of their time. Undefined for other takes: then all keys are looked up, and nothing is counted.
 */
function takePlainly(asks: readonly Ask[], key: string | undefined, nowMs: number): TakeDecisions | undefined {
  // Loops by index: V8 doesn't optimize the other ones as well.
  const { length } = asks;
  const shard = key === undefined ? 0 : shardOf(key);
  for (let i = 0; i < length; i++) {
    const ask = asks[i]!;
    if (key === undefined) limiterOf(ask).lookUp(ask.key, shardOf(ask.key));
    else limiterOf(ask).lookUp(key, shard);
  }
  for (let i = 0; i < length; i++) {
    const ask = asks[i]!;
    if (!limiterOf(ask).lookAtPlainly(ask, nowMs)) return undefined;
  }
  const outcomes = new Array<number>(3 * length);
  for (let i = 0; i < length; i++) {
    const ask = asks[i]!;
    limiterOf(ask).countPlainly(ask, outcomes, 3 * i);
  }
  return new PlainTake(outcomes, nowMs);
}

function takeInSteps(asks: readonly Ask[], key: string | undefined, nowMs: number, cleanup: Cleanup): TakeDecisions {
  for (const ask of asks) limiterOf(ask).lookAt(ask, key ?? ask.key, nowMs);
  let isTaken = true;
  let isNew = false;
  for (const ask of asks) {
    const limiter = limiterOf(ask);
    if (!limiter.weigh(ask, key ?? ask.key)) isTaken = false;
    if (limiter.isNew) isNew = true;
  }
  const decisions = asks.map((ask) => {
    const limiter = limiterOf(ask);
    return isTaken ? limiter.count(ask, key ?? ask.key) : limiter.concludeDenied(ask, key ?? ask.key);
  });
  // Last, for a sweep selects other keys.
  if (isNew) cleanup.noteNewKey();
  return { isTaken, decisions, takenMs: nowMs };
}

/**
 * A plain take. To make a decision takes as long as all else about an ask, and most callers look at none. So the
 * numbers of the decisions are kept, and the decisions are made when somebody looks at them.
 */
class PlainTake implements TakeDecisions {
  readonly isTaken = true;
  readonly takenMs: number;
  /** For each ask three: limit, used and time until more is free. */
  readonly #outcomes: readonly number[];
  #decisions: Decision[] | undefined;

  constructor(outcomes: readonly number[], takenMs: number) {
    this.#outcomes = outcomes;
    this.takenMs = takenMs;
  }

  get decisions(): readonly Decision[] {
    this.#decisions ??= this.#makeDecisions();
    return this.#decisions;
  }

  #makeDecisions(): Decision[] {
    const outcomes = this.#outcomes;
    const decisions: Decision[] = [];
    for (let i = 0; i < outcomes.length; i += 3) {
      decisions.push(allowed(outcomes[i]!, outcomes[i + 1]!, outcomes[i + 2]!));
    }
    return decisions;
  }
}

function limiterOf({ limiter }: Ask): LocalLimiter {
  return limiter as LocalLimiter;
}
