// The window of a key as a strategy sees it when it denies a call, from what this process knows of it.

import type { SuppressedView, WindowView } from "../strategy/view.ts";
import type { Holder } from "./holder.ts";
import type { NoRoom } from "./snapshot.ts";

export function viewOf(
  holder: Holder,
  noRoom: NoRoom | undefined,
  oldestAccepted: number,
  nowMs: number,
): WindowView & SuppressedView {
  const oldestExpiresInMs = holder.moreAfterMs(nowMs);
  return {
    used: holder.used,
    observed: holder.used,
    rate: holder.rate,
    waitMsFor: () => (noRoom === undefined ? 0 : noRoom.untilMs - nowMs),
    freedWith: () => noRoom?.freed ?? 0,
    keptFactor: () => holder.factorAt(nowMs),
    recentPerSecond: () => 0,
    oldestExpiresInMs,
    oldestExpiresWithHitInMs: oldestExpiresInMs,
    oldestAccepted,
  };
}
