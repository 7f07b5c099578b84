// What a take would decide, from what each of its limits would decide by itself.

import { weightOf } from "../core/family.ts";
import type { Awaitable, Decision } from "../core/types.ts";
import { allowed, markDegraded } from "../strategy/decision.ts";
import type { AskedLimit } from "./taken.ts";

/**
 * What each limit would decide by itself. A limit that is asked without counting is asked about a call of 1.
 *
 * @param key the key of all; without it, each has its own
 */
export function foresee(asked: readonly AskedLimit[], key: string | undefined): Awaitable<readonly Decision[]> {
  const decisions = asked.map((ask) => ask.limiter.isAllowed(key ?? ask.key, weightOf(ask.count), ask.rate));
  const conclude = (all: readonly Decision[]) => asOneTake(asked, all);
  return decisions.some((one) => one instanceof Promise)
    ? Promise.all(decisions).then(conclude)
    : conclude(decisions as Decision[]);
}

/** Each of these decisions is about a call that is counted, but a take that is denied counts nothing. */
function asOneTake(asked: readonly AskedLimit[], decisions: readonly Decision[]): readonly Decision[] {
  const isTaken = decisions.every((decision) => decision.allowed);
  return decisions.map((decision, index) => {
    const ask = asked[index]!;
    return withoutCount(decision, isTaken ? weightOf(ask.count) - ask.count : weightOf(ask.count));
  });
}

function withoutCount(decision: Decision, count: number): Decision {
  if (decision.outcome !== "allowed" || count === 0) return decision;
  const { limit, remaining, moreAfterMs, degraded } = decision;
  // Without a limit this is Infinity minus Infinity, which is no number.
  const used = Math.max(0, limit - remaining - count) || 0;
  const uncounted = allowed(limit, used, used > 0 ? moreAfterMs : 0);
  return degraded ? markDegraded(uncounted) : uncounted;
}
