// What is known here of a block of one key: until when Redis rejects every call to it.
//
// Always holds: a block is believed no longer than it lasts, nor longer than a lease. Others may end it, so Redis is
// asked again then.

import type { Decision } from "../core/types.ts";
import { decideBlocked } from "../strategy/block.ts";
import type { WindowView } from "../strategy/view.ts";

export class KnownBlock {
  /** 0 for a key that isn't blocked. */
  #untilMs = 0;
  #believedMs = 0;

  /** Redis has said how long the key is still blocked; 0 if it isn't. */
  note(leftMs: number, nowMs: number, leaseMs: number): void {
    this.#untilMs = leftMs > 0 ? nowMs + leftMs : 0;
    this.#believedMs = leftMs > 0 ? nowMs + Math.min(leftMs, leaseMs) : 0;
  }

  isBelieved(nowMs: number): boolean {
    return nowMs < this.#believedMs;
  }

  /**
   * The rejection of a call; undefined if Redis has to be asked whether the key still is blocked.
   *
   * @param rule `most` is the largest count that is ever admitted
   */
  reject(
    window: Pick<WindowView, "used" | "oldestExpiresInMs">,
    rule: { readonly limit: number; readonly most: number; readonly windowMs: number },
    count: number,
    nowMs: number,
  ): Decision | undefined {
    return this.isBelieved(nowMs) ? decideBlocked(window, rule, count, this.#untilMs - nowMs) : undefined;
  }
}
