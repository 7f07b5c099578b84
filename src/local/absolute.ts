import { checkCount } from "../core/count.ts";
import { type Ask, weightOf } from "../core/family.ts";
import { checkKey } from "../core/key.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { absoluteFactor, decideAbsolute, rejection } from "../strategy/absolute.ts";
import { decideBlocked } from "../strategy/block.ts";
import { allowed } from "../strategy/decision.ts";
import type { WindowView } from "../strategy/view.ts";
import { LocalLimiter } from "./limiter.ts";

/**
 * The deterministic sliding window: no span of `windowMs` ever contains more than the capacity. It has the methods of
 * {@link Limiter}, which return values.
 */
export class LocalAbsolute extends LocalLimiter {
  // V8 inlines at most 920 bytes of bytecode into a function, and often that is the caller's loop, which has this one
  // inlined. So what happens seldom is apart. Then there is room for the constructor of the decision too, which saves a
  // seventh of the time of a call to a hot key.
  inc(key: string, rate: Rate, count = 1): Decision {
    const limit = this.limitOf(rate);
    if (count !== 1) checkCount("count", count, 1);
    const { store, window } = this;
    if (!store.find(key)) return this.#incUnknown(key, rate, count);
    window.setRate(rate);
    if (store.hasBlocks && store.blockedMs(key) > 0) return this.incBlocked(window, key, rate, count);
    if (window.used + count > limit) return this.tally.addRejected(rejection(window, limit, count), key);
    const used = window.accept(count);
    this.tally.addAllowed(limit, used);
    return allowed(limit, used, window.moreAfterHitMs());
  }

  /** What `inc` does with a key that isn't stored. */
  #incUnknown(key: string, rate: Rate, count: number): Decision {
    checkKey(key);
    const limit = this.limitOf(rate);
    if (this.store.blockedMs(key) > 0) return this.incBlocked(this.unknown, key, rate, count);
    if (count > limit) return this.tally.addRejected(rejection(this.unknown, limit, count), key);
    this.insert(key, rate);
    const used = this.window.accept(count);
    this.tally.addAllowed(limit, used);
    return allowed(limit, used, this.window.moreAfterHitMs());
  }

  /** @internal */
  weigh({ rate, count }: Ask, key: string): boolean {
    const used = this.isStored ? this.window.used : 0;
    this.admits = this.store.blockedMs(key) === 0 && used + weightOf(count) <= this.limitOf(rate);
    return this.admits;
  }

  /** @internal */
  count(ask: Ask, key: string): Decision {
    const { rate, count } = ask;
    if (count === 0) return this.conclude(ask, key);
    if (!this.isStored) this.store.insert(key, rate);
    const limit = this.limitOf(rate);
    const used = this.window.accept(count);
    this.tally.addAllowed(limit, used);
    return allowed(limit, used, this.window.moreAfterHitMs());
  }

  protected conclude(ask: Ask, key: string): Decision {
    if (!this.admits) return this.#deny(ask, key);
    const window = this.isStored ? this.window : this.unknown;
    return allowed(this.limitOf(ask.rate), window.used, window.oldestExpiresInMs);
  }

  /** The decision about an ask that isn't admitted, and the block that it begins. */
  #deny({ rate, count, blockMs }: Ask, key: string): Decision {
    const { store } = this;
    const window = this.isStored ? this.window : this.unknown;
    const weight = weightOf(count);
    if (blockMs > 0 && count > 0 && store.blockedMs(key) === 0) store.block(key, blockMs);
    const blockedMs = store.blockedMs(key);
    if (blockedMs > 0) return this.rejectBlocked(window, rate, weight, blockedMs);
    return rejection(window, this.limitOf(rate), weight);
  }

  protected rejectBlocked(window: WindowView, rate: Rate, count: number, leftMs: number): Decision {
    const limit = this.limitOf(rate);
    return decideBlocked(window, { limit, most: limit, windowMs: this.windowMs }, count, leftMs);
  }

  protected foresee(window: WindowView, rate: Rate, count: number): Decision {
    return decideAbsolute(window, this.limitOf(rate), count);
  }

  protected factor(): number {
    return absoluteFactor(this.window, this.limitOf(this.window.rate));
  }
}
