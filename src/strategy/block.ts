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
  const waitMs = count > most ? Number.POSITIVE_INFINITY : leftMs;
  const free = leftMs >= windowMs || count > most ? limit : Math.max(0, limit - used);
  return blocked(limit, waitMs, free, oldestExpiresInMs);
}
