// How suppression decides a call over the soft limit, and counts it: all in one function, because V8 inlines at most
// 920 bytes of bytecode into a function, and no function of more than 460.
//
// In steps of `Window`, `Overload` and `BucketList` this call has about twice the 920 bytes. Then some of the steps
// stay calls. Each of them finds the record again, and allocates memory for the fraction that it returns. So `decide`
// reads and writes the record and the overload node itself, and what it calls in most cases fits into the 920 bytes. It
// has 529 bytes itself, so it isn't inlined into `inc`, whose own 920 bytes are left to finding the key. That saves a
// fifth of the time of a call to a hot key, and 32 of the 208 bytes that it allocates. What happens seldom is left to
// `Window`.

import type { SuppressedDecision } from "../core/types.ts";
import { expiresInMs } from "../strategy/bucket.ts";
import {
  admittedByDraw,
  deniedByFactor,
  drawAdmits,
  freshFactor,
  type SuppressedRule,
} from "../strategy/suppressed.ts";
import { ACCEPTED } from "./buckets.ts";
import { NONE, type NodePool } from "./node-pool.ts";
import { DECLINED, FACTOR, FACTOR_MS, NEWEST_DECLINED, type Overload } from "./overload.ts";
import { HEAD, NEWEST_ACCEPTED, NEWEST_MS, OLDEST_MS, OVERLOAD, type Records, USED } from "./records.ts";
import { MOST_DECLINED, type Window } from "./window.ts";

/** Always holds: it decides and stores what the same steps apart do. `shedding.test.ts` compares the two. */
export class Shedding {
  readonly #records: Records;
  readonly #nodes: NodePool;
  readonly #overload: Overload;
  readonly #window: Window;

  constructor(records: Records, nodes: NodePool, overload: Overload, window: Window) {
    this.#records = records;
    this.#nodes = nodes;
    this.#overload = overload;
    this.#window = window;
  }

  /**
   * Decides about a call to the selected key that doesn't fit under the soft limit, and counts it. The key's rate has
   * been set to that of the rule, so a kept factor is of that rate.
   */
  decide(rule: SuppressedRule, count: number, random: () => number): SuppressedDecision {
    const window = this.#window;
    const nodes = this.#nodes;
    const { words, at, halves } = this.#records;
    const { nowMs } = window;

    if (halves[at * 2 + OVERLOAD] === NONE) this.#overload.makeNode();
    const node = halves[at * 2 + OVERLOAD]!;
    const place = nodes.placeOf(node);
    const overload = nodes.chunkOf(node);
    let factor = 1;
    if (words[at + USED]! + count <= rule.hardLimit) {
      const isKept = nowMs - overload[place + FACTOR_MS]! < rule.suppressionCacheMs;
      // Read from the node in either case: V8 allocates memory for a fraction that a function may have returned.
      if (!isKept) window.keepFactor(freshFactor(window, rule));
      factor = overload[place + FACTOR]!;
    }
    if (drawAdmits(factor, random)) {
      const usedWithCall = window.accept(count);
      return admittedByDraw(rule, usedWithCall, window.moreAfterHitMs(), factor);
    }

    // To begin a bucket can make the chunks grow, which replaces them. It is done elsewhere, or V8 would have to look
    // at all of them again.
    const used = words[at + USED]!;
    const declined = overload[place + DECLINED]! + count;
    if (window.beginsBucket() || used + declined >= MOST_DECLINED) return this.#denyInSteps(rule, count, factor);
    words[at + NEWEST_MS] = nowMs;
    overload[place + DECLINED] = declined;
    overload[place + NEWEST_DECLINED]! += count;

    const head = halves[at * 2 + HEAD]!;
    const accepted = head === NONE ? words[at + NEWEST_ACCEPTED]! : nodes.read(head, ACCEPTED);
    const oldestAccepted = accepted > 0 ? accepted : 0;
    const oldestExpiresInMs = expiresInMs(head === NONE ? nowMs : words[at + OLDEST_MS]!, rule.windowMs, nowMs);
    return deniedByFactor({ used, oldestAccepted, oldestExpiresInMs }, rule, count, factor, oldestExpiresInMs);
  }

  /** Counts a denied call that begins a bucket, or by which totals stop, and decides about it. */
  #denyInSteps(rule: SuppressedRule, count: number, factor: number): SuppressedDecision {
    this.#window.addHit(count, count);
    // Made into an object as above: V8 boxes numbers for `deniedByFactor` once it has seen two kinds of objects.
    const { used, oldestAccepted, oldestExpiresInMs } = this.#window;
    return deniedByFactor({ used, oldestAccepted, oldestExpiresInMs }, rule, count, factor, oldestExpiresInMs);
  }
}
