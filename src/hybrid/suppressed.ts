import type { Rate } from "../core/rate.ts";
import type { Decision, SuppressedLimiter } from "../core/types.ts";
import { text } from "../redis/limiter.ts";
import type { RedisSuppressed } from "../redis/suppressed.ts";
import { hardLimitOf } from "../strategy/capacity.ts";
import { admission, allowed, denial } from "../strategy/decision.ts";
import type { HybridParts } from "./exchanges.ts";
import type { KeyState } from "./key-state.ts";
import { HybridLimiter } from "./limiter.ts";

/** Sheds a growing, random fraction of an overload, so that what all processes admit stays at the limit. */
export class HybridSuppressed extends HybridLimiter implements SuppressedLimiter {
  readonly #windowMs: number;
  readonly #hardLimitFactor: number;
  readonly #suppressionCacheMs: number;
  readonly #random: () => number;
  #lastRate: number = Number.NaN;
  #lastHardLimit: number = Number.NaN;

  /** @internal */
  constructor(parts: HybridParts, redis: RedisSuppressed) {
    super(parts, redis);
    this.#windowMs = parts.settings.windowMs;
    this.#hardLimitFactor = parts.settings.hardLimitFactor;
    this.#suppressionCacheMs = parts.settings.suppressionCacheMs;
    this.#random = parts.settings.random;
  }

  /** The factor that a call of 1 would meet now; 0 for an unknown key. Records nothing. */
  async getSuppressionFactor(key: string): Promise<number> {
    return (await this.get(key)).suppressionFactor;
  }

  protected decide(state: KeyState, count: number, nowMs: number): Decision | undefined {
    const { limit } = state;
    if (state.hasLease(count)) {
      state.spend(count, nowMs);
      return allowed(limit, state.used);
    }
    const accepted = state.used;
    if (accepted + count <= limit) return undefined;
    const hardLimit = this.#hardLimitOf(state.rate);
    const factor = accepted + count > hardLimit ? 1 : state.factorAt(nowMs);
    if (factor < 0) return undefined;
    if (factor < 1 && this.#random() >= factor) {
      state.record(count, 0, nowMs);
      return admission(limit, accepted + count, factor);
    }
    state.record(count, count, nowMs);
    return denial(limit, hardLimit, accepted, count, factor, state.firstExpiryMs - nowMs, state.firstAccepted);
  }

  protected factorArguments(rate: Rate): [string, string] {
    return [text(this.#suppressionCacheMs), text(this.#hardLimitOf(rate))];
  }

  #hardLimitOf(rate: Rate): number {
    if (rate !== this.#lastRate) {
      this.#lastHardLimit = hardLimitOf(rate, this.#windowMs, this.#hardLimitFactor);
      this.#lastRate = rate;
    }
    return this.#lastHardLimit;
  }
}
