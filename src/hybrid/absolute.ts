import type { Decision } from "../core/types.ts";
import { decideAbsolute } from "../strategy/absolute.ts";
import { allowed, rejected } from "../strategy/decision.ts";
import { EMPTY_WINDOW } from "../strategy/view.ts";
import type { KeyState } from "./key-state.ts";
import { HybridLimiter } from "./limiter.ts";

/** The deterministic sliding window: no span of `windowMs` ever contains more than the capacity, over all processes. */
export class HybridAbsolute extends HybridLimiter {
  protected decide(state: KeyState, count: number, nowMs: number): Decision | undefined {
    const { limit } = state;
    if (state.hasLease(count)) {
      state.spend(count, nowMs);
      return allowed(limit, state.used);
    }
    if (count > limit) return decideAbsolute({ ...EMPTY_WINDOW, used: state.used }, limit, count);
    if (!state.isDenied(count, nowMs)) return undefined;
    return rejected(limit, Math.max(0, state.free), state.deniedUntilMs - nowMs, state.freeAfterWaiting);
  }

  protected factorArguments(): [string, string] {
    return ["", ""];
  }
}
