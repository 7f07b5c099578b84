// A block of one key, as Redis has told of it: until when Redis rejects every call to the key.
//
// Always holds: a block is believed no longer than it lasts, nor longer than a lease. Others may end it, so Redis is
// asked again then.

import type { Decision } from "../core/types.ts";
import { decideBlocked } from "../strategy/block.ts";
import type { WindowView } from "../strategy/view.ts";

export class KnownBlock {
  readonly #untilMs: number;
  readonly #believedMs: number;

  /** @param leftMs how long the key is still blocked */
  constructor(leftMs: number, nowMs: number, leaseMs: number) {
    this.#untilMs = nowMs + leftMs;
    this.#believedMs = nowMs + Math.min(leftMs, leaseMs);
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
