import fc from "fast-check";
import { expect, it } from "vitest";
import { perSecond } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { allowed, rejected } from "../strategy/decision.ts";
import { Holder } from "./holder.ts";
import { Memory } from "./pieces.ts";
import type { Answer } from "./protocol.ts";
import { ShortWay } from "./short-way.ts";
import { timingOf } from "./timing.ts";

const WINDOW_MS = 1_000;
const TIMING = timingOf({ windowMs: WINDOW_MS, bucketMs: 100, timeoutMs: 50 }, 10);
const RATE = perSecond(100);
const LIMIT = 100;

/** A key, and the ways of a call to it. */
class Key {
  readonly holder: Holder;
  readonly #shortWay: ShortWay;
  #reports = 0;

  constructor() {
    const memory = new Memory();
    this.#shortWay = new ShortWay(memory, TIMING);
    // So that the key hasn't the first row.
    new Holder("other", TIMING, memory);
    this.holder = new Holder("k", TIMING, memory);
  }

  answer(answer: Partial<Answer>, asked: number, nowMs: number): void {
    this.#reports += 2;
    const waiting = asked > 0 ? [{ rate: RATE, limit: LIMIT, count: asked }] : [];
    const report = this.holder.makeReport(this.#reports, waiting, nowMs, 0);
    this.holder.answered({ counted: 0, declined: 0, factorLeftMs: -1, ...answer } as Answer, report, nowMs, 0);
  }

  admitShortly(count: number, nowMs: number, aheadMs: number, rate = RATE): Decision | undefined {
    return this.#shortWay.admit(this.holder.row, rate, LIMIT, count, nowMs, aheadMs);
  }

  admit(count: number, nowMs: number, aheadMs: number): Decision | undefined {
    const { holder } = this;
    if (!holder.knows(RATE)) return undefined;
    holder.carryOn(nowMs, aheadMs);
    if (holder.isBlocked || !holder.trySpend(count, nowMs)) return undefined;
    holder.noteCall(count, LIMIT);
    return allowed(holder.limit, holder.used, holder.moreAfterMs(nowMs));
  }

  /** All that is known of it. */
  get state(): unknown {
    const { holder } = this;
    const { words, at, outbox, isCurrent } = holder;
    const lacks = [1, 2, 3, 4, 5].map((count) => holder.hasNoRoomFor(count, 0));
    return [words.slice(at, at + 32), outbox.hits, isCurrent, holder.knows(RATE), lacks];
  }
}

const TWO_BUCKETS = {
  granted: 10,
  grantedHeadroom: 0,
  freeHeadroom: -1,
  total: 30,
  leasedByOthers: 0,
  buckets: 2,
  firstExpiresInMs: 300,
  firstAccepted: 10,
  waitMs: 0,
  freed: 0,
  blockedMs: 0,
};

function makeKey(): Key {
  const key = new Key();
  key.answer(TWO_BUCKETS, 1, 0);
  return key;
}

it("a call that a lease covers takes the short way, but for the first hit after a report, which is scheduled", () => {
  const key = makeKey();
  expect(key.admitShortly(1, 10, 0)).toBeUndefined();
  expect(key.admit(1, 10, 0)).toMatchObject({ allowed: true });
  expect(key.admitShortly(2, 20, 0)).toEqual(allowed(LIMIT, 33, 280));
  expect(key.admitShortly(3, 120, 0)).toEqual(allowed(LIMIT, 36, 180));
  expect(key.holder.lease.left).toBe(4);
  expect(key.holder.outbox.hits).toMatchObject([{ count: 3 }, { count: 3 }]);
});

it.each<[string, (holder: Holder) => void, count: number, nowMs: number, aheadMs: number]>([
  ["more than the lease", () => {}, 10, 20, 0],
  ["more than the capacity, which draws have used up", (holder) => holder.addHit(69, 0, 20), 1, 20, 0],
  ["a bucket that has expired", () => {}, 1, 300, 0],
  ["a suspension of the machine", () => {}, 1, 20, 51],
  ["another rate", (holder) => holder.degrade(perSecond(50), 50), 1, 20, 0],
])("%s takes the usual way, and changes nothing before", (_, prepare, count, nowMs, aheadMs) => {
  const key = makeKey();
  key.admit(1, 10, 0);
  prepare(key.holder);
  const before = key.state;
  expect(key.admitShortly(count, nowMs, aheadMs)).toBeUndefined();
  expect(key.state).toEqual(before);
});

it("a call at another rate than the last takes the usual way, because its capacity is another", () => {
  const key = makeKey();
  key.admit(1, 10, 0);
  expect(key.admitShortly(1, 20, 0, perSecond(50))).toBeUndefined();
  expect(key.admitShortly(1, 20, 0)).toBeDefined();
});

const answers = fc.record({
  granted: fc.nat(20),
  grantedHeadroom: fc.constant(0),
  freeHeadroom: fc.constant(-1),
  total: fc.nat(90),
  leasedByOthers: fc.constantFrom(0, 0, 5),
  buckets: fc.nat(3),
  firstExpiresInMs: fc.integer({ min: 1, max: WINDOW_MS }),
  firstAccepted: fc.nat(9),
  secondExpiresInMs: fc.integer({ min: 1, max: WINDOW_MS }),
  secondAccepted: fc.nat(9),
  waitMs: fc.nat(200),
  freed: fc.nat(9),
  blockedMs: fc.constantFrom(0, 0, 0, 50),
});

const counts = fc.integer({ min: 1, max: 5 });

const steps = fc.oneof(
  { weight: 8, arbitrary: fc.record({ count: counts, aheadMs: fc.constantFrom(0, 0, 0, 0, 60) }) },
  { weight: 2, arbitrary: fc.record({ answer: answers, asked: fc.nat(5) }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<(holder: Holder, nowMs: number) => void>(
      (holder) => holder.forget(),
      (holder, nowMs) => holder.addHit(1, 1, nowMs),
      (holder) => holder.degrade(perSecond(50), 50),
      (holder) => holder.returnLease(),
      (holder, nowMs) => {
        holder.carryOn(nowMs, 0);
        holder.noteTaken({ rate: RATE, limit: LIMIT, count: 2 }, rejected(LIMIT, 0, 300, 10, 300), false, nowMs);
      },
    ),
  },
);

it("by the short way a call gets the same decision as by the usual one, and leaves the same behind", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(120), steps), { maxLength: 60 }), (list) => {
      const [shortly, usual] = [makeKey(), makeKey()];
      let nowMs = 0;
      for (const [afterMs, step] of list) {
        nowMs += afterMs;
        if (typeof step === "function") for (const { holder } of [shortly, usual]) step(holder, nowMs);
        else if ("answer" in step) for (const key of [shortly, usual]) key.answer(step.answer, step.asked, nowMs);
        else {
          const { count, aheadMs } = step;
          const decision = shortly.admitShortly(count, nowMs, aheadMs) ?? shortly.admit(count, nowMs, aheadMs);
          expect(decision).toEqual(usual.admit(count, nowMs, aheadMs));
        }
        expect(shortly.state).toEqual(usual.state);
      }
    }),
  );
});
