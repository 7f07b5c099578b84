// How the absolute strategy decides: a call passes if it fits into what is left of the capacity.

import type { Decision } from "../core/types.ts";
import { allowed, rejected } from "./decision.ts";
import type { WindowView } from "./view.ts";

/**
 * The decision about a call of `count`, from the window as it is before the call. An allowed call has to be added to
 * the window by the caller; a rejected call leaves nothing behind.
 *
 * @param limit the capacity
 */
export function decideAbsolute(window: WindowView, limit: number, count: number): Decision {
  const used = window.used;
  if (used + count <= limit) return allowed(limit, used + count, window.oldestExpiresWithHitInMs);
  return rejection(window, limit, count);
}

/** The decision about a call that doesn't fit. Apart, so that V8 inlines what it needs for a call that fits. */
export function rejection(window: WindowView, limit: number, count: number): Decision {
  const used = window.used;
  const free = limit - used;
  const remaining = free > 0 ? free : 0;
  const moreAfterMs = window.oldestExpiresInMs;
  if (count > limit) return neverFits(limit, remaining, moreAfterMs);
  const missing = used + count - limit;
  const freeThen = free + window.freedWith(missing);
  // Leases can hold more than the capacity after it was made smaller. Then nothing may be free after the wait either.
  return rejected(limit, remaining, window.waitMsFor(missing), freeThen > 0 ? freeThen : 0, moreAfterMs);
}

function neverFits(limit: number, remaining: number, moreAfterMs: number): Decision {
  return rejected(limit, remaining, Number.POSITIVE_INFINITY, limit, moreAfterMs);
}

/** The suppression factor of a strategy that sheds nothing or all: 1 when a call of 1 would be rejected, else 0. */
export function absoluteFactor(window: WindowView, limit: number): number {
  return window.used < limit ? 0 : 1;
}
