// How a call to a blocked key is decided, under either strategy: it is rejected, and nothing is counted.

import type { RejectedDecision } from "../core/types.ts";
import { blocked } from "./decision.ts";
import type { WindowView } from "./view.ts";

/**
 * The decision about a call to a key that is blocked for `leftMs` more. A block that ends before the window has passed
 * leaves what was used then: so much of it as expires until then isn't known here, and isn't promised.
 *
 * @param most the largest count that is ever admitted
 */
export function decideBlocked(
  { used, oldestExpiresInMs }: Pick<WindowView, "used" | "oldestExpiresInMs">,
  { limit, most, windowMs }: { readonly limit: number; readonly most: number; readonly windowMs: number },
  count: number,
  leftMs: number,
): RejectedDecision {
  const toWaitMs = inMicroseconds(leftMs);
  const waitMs = count > most ? Number.POSITIVE_INFINITY : toWaitMs;
  const free = toWaitMs >= windowMs || count > most ? limit : Math.max(0, limit - used);
  return blocked(limit, waitMs, free, oldestExpiresInMs);
}

/**
 * In ms, with whole microseconds, rounded up. A clock has fractions of a millisecond, so a block of 30 000 ms that
 * begins now may have 30 000.000 000 004 ms left, or as much less. Rounded up to seconds that would be 31; and with
 * less than a window left it would not be known that all is free afterwards. So a thousandth of a microsecond is none.
 */
function inMicroseconds(ms: number): number {
  return Number.isInteger(ms) ? ms : Math.max(1, Math.ceil(ms * 1_000 - 0.001)) / 1_000;
}
