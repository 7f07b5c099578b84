// The guarantees, checked against a log of every single call: no buckets, nothing that the
// provider could share a mistake with.

import fc from "fast-check";
import { createLocalProvider, type Rate } from "trypema";
import { manualClock, seededRandom } from "trypema/testing";
import { expect, it } from "vitest";
import { capacityOf, hardLimitOf } from "../../src/strategy/capacity.ts";
import { rates, sizes, waits } from "../support/schedules.ts";
import { expectSound } from "../support/usage.ts";

interface LoggedCall {
  readonly atMs: number;
  readonly count: number;
}

/** What `log` holds from `afterMs` (not included) to now. */
function countSince(log: readonly LoggedCall[], afterMs: number): number {
  return log.reduce((sum, call) => (call.atMs > afterMs ? sum + call.count : sum), 0);
}

const schedules = sizes.chain((size) =>
  fc.record({
    size: fc.constant(size),
    rate: rates(size.windowMs),
    calls: fc.array(
      fc.record({
        // Eighths of a millisecond are exact in floating point, and clocks do have fractions.
        waitMs: fc.tuple(waits(size.windowMs, size.bucketMs), fc.nat(7)).map(([ms, eighths]) => ms + eighths / 8),
        count: fc.oneof(
          { arbitrary: fc.constant(1), weight: 3 },
          { arbitrary: fc.integer({ min: 1, max: 12 }), weight: 1 },
        ),
        /** Another rate for this call and the next ones. */
        rate: fc.option(rates(size.windowMs), { freq: 8 }),
        /** After a rejection: come back exactly when told. */
        comesBack: fc.boolean(),
      }),
      { maxLength: 150 },
    ),
  }),
);

function open(size: { windowMs: number; bucketMs: number }) {
  const clock = manualClock(98_765.5);
  return { clock, ...createLocalProvider({ ...size, clock, random: seededRandom(1), cleanup: false }) };
}

it("no window contains more admitted counts than the capacity (G1), and none is held longer than a bucket more (G2)", () => {
  fc.assert(
    fc.property(schedules, ({ size, rate: firstRate, calls }) => {
      const { clock, absolute } = open(size);
      const log: LoggedCall[] = [];
      let rate: Rate = firstRate;
      for (const call of calls) {
        clock.advance(call.waitMs);
        rate = call.rate ?? rate;
        const { allowed, limit } = absolute.inc("k", rate, call.count);
        if (allowed) log.push({ atMs: clock(), count: call.count });
        const window = countSince(log, clock() - size.windowMs);
        const windowAndBucket = countSince(log, clock() - size.windowMs - size.bucketMs);
        if (allowed) expect(window).toBeLessThanOrEqual(limit);
        else expect(windowAndBucket + call.count).toBeGreaterThan(limit);
      }
    }),
    { numRuns: 800 },
  );
});

it.each(["absolute", "suppressed"] as const)(
  "%s: what get says agrees with a log of every call, and is within the capacity or the hard limit",
  (strategy) => {
    fc.assert(
      fc.property(schedules, ({ size, rate, calls }) => {
        const { clock, [strategy]: limiter } = open(size);
        const [admitted, denied]: [LoggedCall[], LoggedCall[]] = [[], []];
        const capacity = capacityOf(rate, size.windowMs);
        const most = strategy === "absolute" ? capacity : hardLimitOf(rate, size.windowMs, 1.5);
        for (const { waitMs, count } of calls) {
          clock.advance(waitMs);
          const { allowed } = limiter.inc("k", rate, count);
          (allowed ? admitted : denied).push({ atMs: clock(), count });
          const usage = limiter.get("k");
          expectSound(usage);
          expect(usage.accepted).toBeLessThanOrEqual(most);
          if (usage.total > 0) expect(usage.limit).toBe(capacity);
          const windowBeganMs = clock() - size.windowMs;
          const within = (log: readonly LoggedCall[], counted: number) => {
            expect(counted).toBeGreaterThanOrEqual(countSince(log, windowBeganMs));
            expect(counted).toBeLessThanOrEqual(countSince(log, windowBeganMs - size.bucketMs));
          };
          within(admitted, usage.accepted);
          if (strategy === "suppressed") within(denied, usage.declined);
          const next = limiter.isAllowed("k", 1, rate);
          if (strategy === "absolute") expect(next.allowed).toBe(usage.suppressionFactor === 0);
          expect(next.remaining).toBe(Math.max(0, capacity - usage.accepted - (next.allowed ? 1 : 0)));
        }
      }),
      { numRuns: 300 },
    );
  },
);

it("a rejected call is rejected until just before retryAfterMs has passed, and admitted then", () => {
  fc.assert(
    fc.property(schedules, ({ size, rate, calls }) => {
      const { clock, absolute } = open(size);
      for (const { waitMs, count, comesBack } of calls) {
        clock.advance(waitMs);
        const rejection = absolute.inc("k", rate, count);
        if (rejection.allowed) continue;
        if (count > rejection.limit) {
          expect(rejection.retryAfterMs).toBe(Number.POSITIVE_INFINITY);
          continue;
        }
        expect(rejection.retryAfterMs).toBeGreaterThan(0);
        if (!comesBack) continue;
        clock.advance(rejection.retryAfterMs - 1 / 1_024);
        expect(absolute.isAllowed("k", count)).toMatchObject({
          allowed: false,
          remainingAfterWaiting: rejection.remainingAfterWaiting,
        });
        clock.advance(1 / 1_024);
        const admission = absolute.inc("k", rate, count);
        expect(admission).toMatchObject({ allowed: true, remaining: rejection.remainingAfterWaiting - count });
      }
    }),
    { numRuns: 800 },
  );
});

it("whatever a clock does, no more than the capacity is admitted while it moves on by less than a window", () => {
  const time = fc.integer({ min: -1e9, max: 1e9 }).map((eighths) => eighths / 8);
  const noTime = fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
  const readings = fc
    .tuple(
      time,
      fc.array(fc.oneof({ arbitrary: time, weight: 9 }, { arbitrary: noTime, weight: 1 }), { maxLength: 80 }),
    )
    .map(([first, others]) => [first, ...others]);
  fc.assert(
    fc.property(sizes, readings, ({ windowMs, bucketMs }, readings) => {
      let reading = 0;
      const { absolute } = createLocalProvider({ windowMs, bucketMs, clock: () => reading, cleanup: false });
      const rate = ((3 * 1_000) / windowMs) as Rate;
      let passedMs = 0;
      let lastReading = readings[0]!;
      let log: LoggedCall[] = [];
      for (reading of readings) {
        if (Number.isFinite(reading)) {
          passedMs += Math.max(0, reading - lastReading);
          lastReading = reading;
        }
        log = log.filter((call) => call.atMs > passedMs - windowMs);
        if (absolute.inc("k", rate).allowed) log.push({ atMs: passedMs, count: 1 });
        expect(countSince(log, Number.NEGATIVE_INFINITY)).toBeLessThanOrEqual(3);
      }
    }),
    { numRuns: 800 },
  );
});
