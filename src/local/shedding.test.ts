// A call over the soft limit, against the same call in the steps that takes and the other providers go.

import fc from "fast-check";
import { expect, it } from "vitest";
import { ForwardClock } from "../core/clock.ts";
import { perSecond, type Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { allowed } from "../strategy/decision.ts";
import {
  admittedByDraw,
  deniedByFactor,
  drawAdmits,
  freshFactor,
  knownFactor,
  type SuppressedRule,
  suppressedRuleOf,
} from "../strategy/suppressed.ts";
import { seededRandom } from "../testing/random.ts";
import { WindowStore } from "./window-store.ts";

const WINDOW_MS = 3_000;

type DecideOver = (store: WindowStore, rule: SuppressedRule, count: number, random: () => number) => Decision;

const inOneFunction: DecideOver = (store, rule, count, random) => store.shedding.decide(rule, count, random);

const inSteps: DecideOver = ({ window }, rule, count, random) => {
  let factor = knownFactor(window, rule, count);
  if (factor < 0) {
    factor = freshFactor(window, rule);
    window.keepFactor(factor);
  }
  if (drawAdmits(factor, random)) {
    const used = window.accept(count);
    return admittedByDraw(rule, used, window.moreAfterHitMs(), factor);
  }
  window.addHit(count, count);
  return deniedByFactor(window, rule, count, factor, window.moreAfterHitMs());
};

/** A limiter of suppression that decides calls over the soft limit by `decideOver`. */
class Limiter {
  nowMs = 10_000;
  readonly store: WindowStore;
  readonly #decideOver: DecideOver;
  readonly #random: () => number;

  constructor(decideOver: DecideOver, bucketMs: number, seed: number) {
    this.store = new WindowStore(WINDOW_MS, bucketMs, 100, new ForwardClock(() => this.nowMs));
    this.#decideOver = decideOver;
    this.#random = seededRandom(seed);
  }

  inc(key: string, rule: SuppressedRule, count: number): Decision {
    const { store } = this;
    const { window } = store;
    if (store.find(key)) window.setRate(rule.rate);
    else store.insert(key, rule.rate);
    if (window.used + count > rule.limit) return this.#decideOver(store, rule, count, this.#random);
    return allowed(rule.limit, window.accept(count), window.moreAfterHitMs());
  }

  adjust(key: string, delta: number): void {
    const { store } = this;
    if (!store.findLive(key)) return;
    store.window.adjust(delta);
    if (store.window.observed === 0) store.remove();
  }

  /** All that is stored of a key at the present time. */
  stateOf(key: string) {
    const { store } = this;
    if (!store.find(key)) return undefined;
    const { window } = store;
    const { used, declined, rate } = window;
    return { used, declined, rate, factor: window.keptFactor(100), buckets: window.buckets(), nodes: store.nodes };
  }
}

function ruleOf(rate: Rate, hardLimitFactor: number, suppressionCacheMs: number): SuppressedRule {
  const settings = { windowMs: WINDOW_MS, hardLimitFactor, suppressionCacheMs };
  return suppressedRuleOf(rate, settings as Parameters<typeof suppressedRuleOf>[1]);
}

const cases = fc.record({
  bucketMs: fc.constantFrom(1, 100, 700, 3_000),
  hardLimitFactor: fc.constantFrom(1, 1.5, 1e6, 1e15),
  suppressionCacheMs: fc.constantFrom(0, 1, 100, 100_000),
  seed: fc.nat(),
  steps: fc.array(
    fc.record({
      waitMs: fc.constantFrom(0, 0, 0, 1 / 3, 1, 40, 99.9, 100, 250.7, 990, 1_000, 2_990, 3_000),
      key: fc.constantFrom("a", "a", "b"),
      rate: fc.constantFrom(1, 1, 1, 2).map(perSecond),
      method: fc.constantFrom("inc", "inc", "inc", "inc", "adjust"),
      count: fc.oneof(
        { arbitrary: fc.constant(1), weight: 6 },
        { arbitrary: fc.integer({ min: 2, max: 9 }), weight: 3 },
        { arbitrary: fc.constantFrom(2 ** 31, 2 ** 51, 2 ** 52, Number.MAX_SAFE_INTEGER), weight: 1 },
      ),
      gives: fc.boolean(),
    }),
    { maxLength: 120 },
  ),
});

it("decides and counts in one function as in steps", () => {
  fc.assert(
    fc.property(cases, ({ bucketMs, hardLimitFactor, suppressionCacheMs, seed, steps }) => {
      const limiter = new Limiter(inOneFunction, bucketMs, seed);
      const plain = new Limiter(inSteps, bucketMs, seed);
      for (const { waitMs, key, rate, method, count, gives } of steps) {
        const rule = ruleOf(rate, hardLimitFactor, suppressionCacheMs);
        const [decision, expected] = [limiter, plain].map((each) => {
          each.nowMs += waitMs;
          return method === "inc" ? each.inc(key, rule, count) : each.adjust(key, gives ? count : -count);
        });
        expect(decision).toEqual(expected);
        for (const each of ["a", "b"]) expect(limiter.stateOf(each)).toEqual(plain.stateOf(each));
      }
    }),
    { numRuns: 500 },
  );
});

it("counts each denied call, also where a new bucket has the memory of all buckets moved", () => {
  const limiter = new Limiter(inOneFunction, 1, 1);
  const rule = ruleOf(perSecond(1), 1, 100);
  limiter.inc("a", rule, 3);
  for (let calls = 1; calls <= 2_000; calls++) {
    limiter.nowMs++;
    expect(limiter.inc("a", rule, 1)).toMatchObject({ outcome: "suppressed", allowed: false });
    expect(limiter.stateOf("a")).toMatchObject({ used: 3, declined: calls });
  }
});
