import { describe, expect, it } from "vitest";
import { perSecond } from "../core/rate.ts";
import { allowed, rejected } from "../strategy/decision.ts";
import { Holder } from "./holder.ts";
import { Memory } from "./pieces.ts";
import type { Answer, OutgoingReport, WaitingCall } from "./protocol.ts";
import { Serving } from "./serving.ts";
import { timingOf } from "./timing.ts";
import { CLOCK_TOLERANCE_MS } from "./wall-clock.ts";

const WINDOW_MS = 1_000;
const TIMING = timingOf({ windowMs: WINDOW_MS, bucketMs: 100, timeoutMs: 50 }, 10);
const { leaseMs: LEASE_MS } = TIMING;
const RATE = perSecond(100);
const LIMIT = 100;
const CALL: WaitingCall = { rate: RATE, limit: LIMIT, count: 1 };

/** The answer of a Redis that knows of no hits, and grants nothing. */
const NOTHING: Answer = {
  counted: 0,
  granted: 0,
  total: 0,
  declined: 0,
  leasedByOthers: 0,
  buckets: 0,
  firstExpiresInMs: 0,
  firstAccepted: 0,
  secondExpiresInMs: 0,
  secondAccepted: 0,
  waitMs: 0,
  freed: 0,
  factor: 0,
  factorLeftMs: -1,
  grantedHeadroom: 0,
  freeHeadroom: -1,
} as unknown as Answer;

/** Two buckets: of 10 and of 20, the first expires in 300 ms. */
const TWO_BUCKETS = { total: 30, buckets: 2, firstExpiresInMs: 300, firstAccepted: 10 };

let numbers = 0;

function ask(holder: Holder, nowMs: number, calls: readonly WaitingCall[] = [CALL]): OutgoingReport {
  numbers += 2;
  return holder.makeReport(numbers, calls, nowMs, 0);
}

function answer(holder: Holder, nowMs: number, fields: Partial<Answer> = {}): OutgoingReport {
  const request = ask(holder, nowMs);
  holder.answered({ ...NOTHING, ...fields }, request, nowMs, 0);
  return request;
}

type State = "unknown" | "current" | "stale";

function stateOf(holder: Holder): State {
  if (!holder.knows(RATE)) return "unknown";
  return holder.isCurrent ? "current" : "stale";
}

function holderIn(state: State): Holder {
  const holder = new Holder("k", TIMING, new Memory());
  if (state !== "unknown") answer(holder, 0, TWO_BUCKETS);
  if (state === "stale") holder.carryOn(300, 0);
  expect(stateOf(holder)).toBe(state);
  return holder;
}

describe("the table of transitions", () => {
  const events: Record<string, (holder: Holder) => void> = {
    "is answered": (holder) => answer(holder, 400, TWO_BUCKETS),
    "lives through the first bucket's expiry": (holder) => holder.carryOn(300, 0),
    "is forgotten": (holder) => holder.forget(),
    "is decided about by a failure policy": (holder) => holder.degrade(RATE, LIMIT),
    "gets no answer": (holder) => holder.unanswered(ask(holder, 10)),
    "counts a hit": (holder) => holder.addHit(1, 0, 10),
    "hears that a take was admitted": (holder) => holder.noteTaken(CALL, allowed(LIMIT, 31, 300), true, 10),
    "hears that a take was rejected": (holder) => holder.noteTaken(CALL, rejected(LIMIT, 0, 300, 10, 300), false, 10),
  };
  it.each<[State, string, State]>([
    ["unknown", "is answered", "current"],
    ["current", "is answered", "current"],
    ["stale", "is answered", "current"],
    ["current", "lives through the first bucket's expiry", "stale"],
    ["unknown", "lives through the first bucket's expiry", "unknown"],
    ["unknown", "is forgotten", "unknown"],
    ["current", "is forgotten", "unknown"],
    ["stale", "is forgotten", "unknown"],
    ["current", "is decided about by a failure policy", "unknown"],
    ["stale", "is decided about by a failure policy", "unknown"],
    ["unknown", "gets no answer", "unknown"],
    ["current", "gets no answer", "current"],
    ["current", "counts a hit", "current"],
    ["stale", "counts a hit", "stale"],
    ["unknown", "hears that a take was admitted", "unknown"],
    ["current", "hears that a take was admitted", "current"],
    ["stale", "hears that a take was admitted", "stale"],
    ["unknown", "hears that a take was rejected", "current"],
    ["current", "hears that a take was rejected", "current"],
    ["stale", "hears that a take was rejected", "current"],
  ])("a key that is %s and %s is %s", (before, event, after) => {
    const holder = holderIn(before);
    events[event]!(holder);
    expect(stateOf(holder)).toBe(after);
  });
});

it("a lease admits calls until it is spent, and each is reported", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { granted: 2 });
  expect([1, 1, 1].map((count) => holder.trySpend(count, 5))).toEqual([true, true, false]);
  expect(holder.used).toBe(2);
  expect(holder.lease.left).toBe(0);
  expect(ask(holder, 10, []).hits).toMatchObject([{ count: 2, declined: 0 }]);
});

it("a lease can't be spent where its answer is read when its time is over, because the process was held up", () => {
  const holder = new Holder("k", TIMING, new Memory());
  const request = ask(holder, 0);
  holder.answered({ ...NOTHING, granted: 5 }, request, TIMING.leaseMs, 0);
  holder.carryOn(TIMING.leaseMs, 0);
  expect(holder.trySpend(1, TIMING.leaseMs)).toBe(false);
});

it("a lease can't be spent beyond the capacity, which draws may have used up meanwhile", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { total: 90, buckets: 1, firstExpiresInMs: WINDOW_MS, firstAccepted: 90, granted: 5 });
  holder.addHit(9, 0, 1);
  expect(holder.trySpend(2, 1)).toBe(false);
  expect(holder.trySpend(1, 1)).toBe(true);
});

it("a stale key spends its lease only where others have leases too", () => {
  for (const leasedByOthers of [0, 5]) {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, { ...TWO_BUCKETS, granted: 10, leasedByOthers });
    holder.carryOn(300, 0);
    expect(holder.trySpend(1, 300)).toBe(leasedByOthers > 0);
  }
});

it("of two buckets the second may still grow, so when the first has expired Redis is asked", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { ...TWO_BUCKETS, secondExpiresInMs: 900, secondAccepted: 20 });
  holder.carryOn(300, 0);
  expect(holder.isCurrent).toBe(false);
});

it("when the first of many buckets expires, its usage is free", () => {
  const holder = new Holder("k", TIMING, new Memory());
  const second = { secondExpiresInMs: 400, secondAccepted: 7 };
  answer(holder, 0, { ...TWO_BUCKETS, ...second, buckets: 3 });
  holder.carryOn(299, 0);
  expect(holder.used).toBe(30);
  holder.carryOn(300, 0);
  expect(holder.used).toBe(20);
  expect(holder.isCurrent).toBe(true);
});

it("what was counted while the report was on its way comes on top of what Redis says", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { granted: 10 });
  holder.noteCall(10, LIMIT); // so that the lease is wanted
  holder.trySpend(3, 1);
  const request = ask(holder, 2, []);
  holder.trySpend(4, 3);
  holder.answered({ ...NOTHING, total: 3, buckets: 1, firstExpiresInMs: 999, firstAccepted: 3 }, request, 5, 0);
  expect(holder.used).toBe(7);
  expect(ask(holder, 6, []).hits).toMatchObject([{ count: 4 }]);
});

it("calls that Redis counted while they waited are admitted, and not reported", () => {
  const holder = new Holder("k", TIMING, new Memory());
  const request = ask(holder, 0, [CALL, CALL]);
  expect(request).toMatchObject({ asked: 1, needed: 2 });
  const counted = { ...NOTHING, counted: 2, total: 2, buckets: 1, firstExpiresInMs: WINDOW_MS, firstAccepted: 2 };
  holder.answered(counted, request, 1, 0);
  const serving = new Serving(counted, request);
  expect([1, 1, 1].map((count) => holder.trySpend(count, 1, serving))).toEqual([true, true, false]);
  expect(holder.used).toBe(2);
  expect(holder.outbox.isEmpty).toBe(true);
});

it("when a call waits, the whole lease goes back with the report", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { granted: 10 });
  expect(ask(holder, 1)).toMatchObject({ held: 0, asked: 1 });
  expect(holder.lease.left).toBe(0);
});

it("a report that holds hits back asks for no call, and keeps capacity for these hits", () => {
  const holder = new Holder("k", { ...TIMING, windowMs: 1e9 }, new Memory());
  for (let i = 0; i < 64; i++) {
    holder.addHit(1, 0, 100 * i);
    ask(holder, 100 * i); // whose answer is lost
  }
  holder.addHit(5, 2, 6_400);
  expect(ask(holder, 6_400)).toMatchObject({ held: 3, asked: 0, needed: 0 });
});

it("calls that wait are denied with the first one, from its count on", () => {
  const request = ask(new Holder("k", TIMING, new Memory()), 0, [{ ...CALL, count: 3 }]);
  const serving = new Serving(NOTHING, request);
  expect([2, 3, 4].map((count) => serving.isDenied(count))).toEqual([false, true, true]);
  expect(new Serving({ ...NOTHING, counted: 3 }, request).isDenied(3)).toBe(false);
});

it("a report asks only for the calls of its own rate", () => {
  const other = { rate: perSecond(50), limit: 50, count: 7 };
  expect(ask(new Holder("k", TIMING, new Memory()), 0, [CALL, other, CALL])).toMatchObject({
    rate: RATE,
    asked: 1,
    needed: 2,
  });
});

it("Redis is told a rate only when a call brings it, or when it may not know one", () => {
  const holder = new Holder("k", TIMING, new Memory());
  expect(answer(holder, 0, { granted: 5 }).rateIsNew).toBe(true);
  holder.trySpend(1, 1);
  expect(ask(holder, 2, []).rateIsNew).toBe(false);
  holder.forget();
  // Redis was asked to change the key, perhaps its rate.
  expect(ask(holder, 3, []).rateIsNew).toBe(false);
  holder.degrade(RATE, LIMIT);
  expect(ask(holder, 4, []).rateIsNew).toBe(false);
  holder.degrade(perSecond(7), 7);
  expect(ask(holder, 5, []).rateIsNew).toBe(true);
  answer(holder, 6);
  holder.forget();
  holder.unanswered(ask(holder, 7));
  expect(ask(holder, 8, []).rateIsNew).toBe(true);
});

it("no room for a call is known until Redis is to be asked again, or until something is counted here", () => {
  const holder = new Holder("k", TIMING, new Memory());
  const full = { ...TWO_BUCKETS, total: 100, waitMs: 300, freed: 10 };
  answer(holder, 0, full);
  expect(holder.hasNoRoomFor(1, 299)).toBe(true);
  expect(holder.hasNoRoomFor(2, 299)).toBe(false);
  expect(holder.hasNoRoomFor(1, 300)).toBe(false);
  answer(holder, 0, { ...full, leasedByOthers: 5 });
  expect(holder.hasNoRoomFor(1, 49)).toBe(true);
  expect(holder.hasNoRoomFor(1, 50)).toBe(false);
  answer(holder, 0, full);
  holder.addHit(1, 1, 10);
  expect(holder.hasNoRoomFor(1, 20)).toBe(false);
});

it("a bucket that expires while there is no room leaves less that is going to be free", () => {
  const holder = new Holder("k", TIMING, new Memory());
  // Buckets of 10, 20 and 70. A call of 25 has to wait for the first two.
  const three = { buckets: 3, firstExpiresInMs: 100, firstAccepted: 10, secondExpiresInMs: 300, secondAccepted: 20 };
  const request = ask(holder, 0, [{ ...CALL, count: 25 }]);
  holder.answered({ ...NOTHING, ...three, total: 100, waitMs: 300, freed: 30 }, request, 0, 0);
  const freeThen = () => LIMIT - holder.used + holder.viewAt(0).freedWith(25);
  expect(freeThen()).toBe(30);
  holder.carryOn(100, 0);
  expect([holder.used, freeThen()]).toEqual([90, 30]);
});

it("a rejected take of a key over its limit says how much will be free, and not how much will expire", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { ...TWO_BUCKETS, total: LIMIT + 3 });
  // Of the 103, 5 expire in 300 ms, and so 2 are free then.
  holder.noteTaken(CALL, rejected(LIMIT, 0, 300, 2, 300), false, 0);
  expect(LIMIT - holder.used + holder.viewAt(0).freedWith(1)).toBe(2);
});

describe("above the limit", () => {
  const FULL = { ...TWO_BUCKETS, total: LIMIT };

  it("a call is covered by headroom, and reported as it was covered", () => {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, { ...FULL, grantedHeadroom: 3, freeHeadroom: 20 });
    expect(holder.canSpend(1)).toBe(false);
    expect(holder.trySpendAbove(2, 1)).toBe(true);
    expect(holder.used).toBe(LIMIT + 2);
    expect(holder.trySpendAbove(2, 1)).toBe(false);
    holder.ensureDraws().note(2);
    expect(ask(holder, 2, [])).toMatchObject({ heldHeadroom: 1, wantedHeadroom: 3, hits: [{ count: 2, declined: 0 }] });
  });

  it("headroom is wanted after draws that admit, and not for long", () => {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, FULL);
    expect(ask(holder, 10, []).wantedHeadroom).toBe(0);
    holder.ensureDraws().note(5);
    expect(ask(holder, 50, []).wantedHeadroom).toBe(10);
    expect(ask(holder, 50 + TIMING.longHorizonMs, []).wantedHeadroom).toBe(0);
  });

  it("all headroom is returned while a call waits, because Redis has to know what is free", () => {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, { ...FULL, grantedHeadroom: 3, freeHeadroom: 20 });
    expect(ask(holder, 1)).toMatchObject({ heldHeadroom: 0 });
  });

  it("that Redis has no room for a call is known for 50 ms, and of no lighter call", () => {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, { ...FULL, freeHeadroom: 1 });
    const isOver = (count: number, nowMs: number) => holder.ensureDraws().isKnownOver(holder.used + count, nowMs);
    expect([isOver(1, 49), isOver(2, 49), isOver(2, 50)]).toEqual([false, true, false]);
  });

  it("Redis has room for what expires, and for what this process has leased, since it returns that when it asks", () => {
    const holder = new Holder("k", TIMING, new Memory());
    const isOver = (count: number, nowMs: number) => holder.ensureDraws().isKnownOver(holder.used + count, nowMs);
    answer(holder, 0, { ...FULL, grantedHeadroom: 3, freeHeadroom: 0 });
    const expiring = { buckets: 3, firstExpiresInMs: 30, secondExpiresInMs: 90, secondAccepted: 20 };
    holder.ensureDraws().note(2);
    const report = ask(holder, 270, []);
    expect(report.heldHeadroom).toBe(3);
    holder.answered(
      { ...NOTHING, ...expiring, total: 95, firstAccepted: 10, granted: 2, freeHeadroom: 4 },
      report,
      270,
      0,
    );
    expect([isOver(9, 271), isOver(10, 271)]).toEqual([false, true]);
    expect(holder.trySpend(2, 272)).toBe(true);
    expect([isOver(7, 273), isOver(8, 273)]).toEqual([false, true]);
    holder.carryOn(300, 0);
    expect([isOver(17, 300), isOver(18, 300)]).toEqual([false, true]);
  });

  it("a factor is forgotten with all that Redis had counted, and not sooner", () => {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, { ...FULL, factor: 0.5, factorLeftMs: 100_000 });
    answer(holder, 400, { total: 21, counted: 1, buckets: 2, firstExpiresInMs: 500, firstAccepted: 20 });
    expect(holder.factorAt(400)).toBe(0.5);
    answer(holder, 900, { total: 1, counted: 1, buckets: 1, firstExpiresInMs: WINDOW_MS, firstAccepted: 1 });
    expect(holder.factorAt(900)).toBe(-1);
    answer(holder, 900, { factor: 0, factorLeftMs: 100_000 });
    expect(holder.factorAt(900)).toBe(0);
  });

  it("what Redis said of its room at another rate is forgotten", () => {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, { ...FULL, freeHeadroom: 0 });
    holder.degrade(perSecond(200), 200);
    holder.answered({ ...NOTHING, ...FULL }, ask(holder, 1, []), 1, 0);
    expect(holder.ensureDraws().isKnownOver(holder.used + 1, 1)).toBe(false);
  });

  it("headroom outlives a lease of a key that is called seldom", () => {
    const holder = new Holder("k", TIMING, new Memory());
    holder.noteCall(1, LIMIT);
    answer(holder, 0, { ...FULL, granted: 0, grantedHeadroom: 1, freeHeadroom: 20 });
    expect(holder.isIdle(TIMING.shortHorizonMs)).toBe(false);
    expect(holder.isIdle(TIMING.longHorizonMs)).toBe(true);
    holder.returnIdle(TIMING.longHorizonMs - 1);
    expect(holder.lease.headroom).toBe(1);
    holder.returnIdle(TIMING.longHorizonMs);
    expect(holder.lease.headroom).toBe(0);
  });
});

it("what a failure policy decided about at another rate is reported with that rate and its capacity", () => {
  const holder = holderIn("current");
  holder.degrade(perSecond(40), 40);
  holder.addHit(1, 0, 20);
  expect(holder.makeReport(100, [], 30, 0)).toMatchObject({ rate: perSecond(40), rateIsNew: true, limit: 40 });
});

it("a key without buckets stays known when its lease expires", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { granted: 5 });
  holder.carryOn(LEASE_MS, 0);
  expect(holder.lease.left).toBe(0);
  expect(stateOf(holder)).toBe("current");
});

it("more is free after 0 ms where what others have leased has expired, and never before now", () => {
  const holder = new Holder("k", TIMING, new Memory());
  answer(holder, 0, { leasedByOthers: LIMIT, waitMs: 80 });
  expect(holder.moreAfterMs(30)).toBe(50);
  expect(holder.moreAfterMs(100)).toBe(0);
});

it("a key is useless, and may be forgotten, once nothing of it can matter", () => {
  const holder = new Holder("k", TIMING, new Memory());
  expect(holder.isUseful(0)).toBe(false);
  const request = ask(holder, 0);
  holder.answered({ ...NOTHING, granted: 5 }, request, 1, 0);
  const goneMs = TIMING.setAsideMs + WINDOW_MS;
  expect(holder.isUseful(goneMs - 1)).toBe(true);
  expect(holder.isUseful(goneMs)).toBe(false);
  holder.addHit(1, 0, goneMs);
  expect(holder.isUseful(goneMs)).toBe(true);
});

describe("the machine was suspended, so the wall clock is ahead", () => {
  const WOKEN_MS = CLOCK_TOLERANCE_MS + 1;

  function leasingHolder(): Holder {
    const holder = new Holder("k", TIMING, new Memory());
    answer(holder, 0, { ...TWO_BUCKETS, granted: 5 });
    expect(holder.trySpend(1, 0)).toBe(true);
    return holder;
  }

  it("what was known and leased is of no use any longer, and hits are still to be reported", () => {
    const holder = leasingHolder();
    holder.carryOn(1, CLOCK_TOLERANCE_MS);
    expect(holder.lease.left).toBe(4);
    holder.carryOn(1, WOKEN_MS);
    expect(holder.lease.left).toBe(0);
    expect(stateOf(holder)).toBe("unknown");
    expect(holder.outbox.hits).toMatchObject([{ count: 1, hitMs: 0 }]);
    expect(holder.isDue(1)).toBe(true);
  });

  it("a report that is made then keeps nothing of the lease", () => {
    expect(leasingHolder().makeReport(100, [], 1, WOKEN_MS)).toMatchObject({ held: 0, hits: [{ count: 1 }] });
  });

  it("an answer to a report of before tells what is used, and brings no lease", () => {
    const holder = new Holder("k", TIMING, new Memory());
    const report = ask(holder, 0);
    holder.answered({ ...NOTHING, ...TWO_BUCKETS, granted: 5 }, report, 1, WOKEN_MS);
    expect(holder.lease.left).toBe(0);
    expect(holder.lease.isSetAside(1)).toBe(true);
    holder.carryOn(2, WOKEN_MS + CLOCK_TOLERANCE_MS);
    expect(holder.used).toBe(30);
    expect(stateOf(holder)).toBe("current");
  });

  it("is noticed though the wall clock was set back before, where an answer came meanwhile", () => {
    const holder = new Holder("k", TIMING, new Memory());
    holder.answered({ ...NOTHING, granted: 5 }, ask(holder, 0), 1, -1_000);
    holder.carryOn(2, WOKEN_MS - 1_000);
    expect(holder.lease.left).toBe(0);
  });
});
