import { expect, it } from "vitest";
import { perSecond } from "../core/rate.ts";
import { SYNC } from "../redis/lua.generated.ts";
import { type Answer, answerFrom, type Report } from "./protocol.ts";

const WINDOW_MS = 1_000;

/** The report of a call that waits. */
const report: Report = {
  ...{ number: 2, rate: perSecond(5), rateIsNew: true, limit: 5, held: 0, heldHeadroom: 0, asked: 1, needed: 1 },
  ...{ isAlike: true, wanted: 0, wantedHeadroom: 0, hits: [], sentMs: 0, leaseExpiryMs: 0 },
};

/** Whether the answer that the call is counted means something. `secondExpiresInMs` is of a second bucket, if any. */
function means(buckets: number, firstExpiresInMs: number, secondExpiresInMs: number): boolean {
  const answer: Partial<Answer> = { counted: 1, total: 5, buckets, firstExpiresInMs, secondExpiresInMs };
  const reply = SYNC.reply.map((name) => answer[name as keyof Answer] ?? 0);
  try {
    answerFrom(reply, report, WINDOW_MS);
    return true;
  } catch {
    return false;
  }
}

it("a bucket that is there expires within a window", () => {
  expect([1_000, 1_001, 1_002].map((ms) => means(2, ms, 0))).toEqual([true, true, false]);
  expect([1_000, 1_001, 1_002].map((ms) => means(3, 0, ms))).toEqual([true, true, false]);
});

it("an answer means something whatever the clock says, which shows where a bucket isn't there", () => {
  for (const clockMs of [-1e12, -5_000, 0, 5_000, 1e12]) {
    const ofNone = WINDOW_MS - clockMs;
    expect(means(1, 500, ofNone)).toBe(true);
    expect(means(0, ofNone, ofNone)).toBe(true);
  }
  for (const none of [Number.NaN, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY])
    expect(means(1, 500, none)).toBe(false);
});
