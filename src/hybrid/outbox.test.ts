import fc from "fast-check";
import { expect, it } from "vitest";
import { timesOnBorders } from "../../test/support/borders.ts";
import { cellStartOf } from "../strategy/bucket.ts";
import { Cells } from "./cells.ts";
import { type HitCell, Outbox } from "./outbox.ts";
import { rowAlone } from "./rows.ts";

const WINDOW_MS = 1_000;
const BUCKET_MS = 10;

function newOutbox(windowMs = WINDOW_MS, cells = new Cells(), bucketMs = BUCKET_MS): Outbox {
  return new Outbox(rowAlone(), { windowMs, bucketMs }, cells);
}

function acceptedOf(hits: readonly HitCell[]): number {
  return hits.reduce((sum, { count, declined }) => sum + count - declined, 0);
}

it("hits of one cell are reported as one, as late as the last of them", () => {
  const outbox = newOutbox();
  outbox.add(1, 0, 100);
  outbox.add(2, 2, 109);
  outbox.add(3, 0, 110);
  expect(outbox.takeForReport(2, 120)).toMatchObject([
    { report: 2, hitMs: 109, count: 3, declined: 2 },
    { report: 2, hitMs: 110, count: 3, declined: 0 },
  ]);
});

it.each([
  ["before a report", (outbox: Outbox, hitMs: number) => outbox.add(1, 0, hitMs)],
  ["while calls wait for an answer", (outbox: Outbox, hitMs: number) => outbox.addInFlight(3, 1, 0, hitMs)],
])("hits on the border of two cells are reported as one if Redis would count them in one bucket, %s", (_, addHit) => {
  fc.assert(
    fc.property(timesOnBorders, ({ bucketMs, timesMs }) => {
      const outbox = newOutbox(Number.POSITIVE_INFINITY, new Cells(), bucketMs);
      const plain: { hitMs: number; count: number }[] = [];
      for (const hitMs of timesMs) {
        addHit(outbox, hitMs);
        const newest = plain.at(-1);
        if (newest === undefined || newest.hitMs < cellStartOf(hitMs, bucketMs)) plain.push({ hitMs, count: 1 });
        else plain[plain.length - 1] = { hitMs, count: newest.count + 1 };
        expect(outbox.hits.map(({ hitMs, count }) => ({ hitMs, count }))).toEqual(plain);
      }
    }),
    { numRuns: 1_000 },
  );
});

it("a hit whose report was not answered is sent again under the same number, until Redis confirms it", () => {
  const outbox = newOutbox();
  outbox.add(1, 0, 100);
  outbox.takeForReport(2, 100);
  outbox.add(5, 0, 110);
  expect(outbox.takeForReport(4, 110).map(({ report, count }) => [report, count])).toEqual([
    [2, 1],
    [4, 5],
  ]);
  outbox.confirm(4);
  expect(outbox.isEmpty).toBe(true);
});

it("a hit that Redis may have counted for a waiting call is sent under the number that Redis would know it by", () => {
  const outbox = newOutbox();
  outbox.add(1, 0, 100);
  outbox.addInFlight(3, 7, 0, 100);
  expect(outbox.takeForReport(4, 100).map(({ report, count }) => [report, count])).toEqual([
    [4, 1],
    [3, 7],
  ]);
});

it("a hit is gone a window after it was made, and not before", () => {
  const outbox = newOutbox();
  outbox.add(1, 0, 100);
  outbox.takeForReport(2, 100);
  outbox.expire(100 + WINDOW_MS - 1);
  expect(outbox.isEmpty).toBe(false);
  outbox.expire(100 + WINDOW_MS);
  expect(outbox.isEmpty).toBe(true);
});

it("a thousand waiting calls whose answer is lost make one line of the next report", () => {
  const outbox = newOutbox();
  for (let i = 0; i < 1_000; i++) outbox.addInFlight(3, 1, i % 2, 100 + i / 1_000);
  // It is as late as the last of them: an earlier time would let them expire too soon.
  expect(outbox.takeForReport(4, 101)).toMatchObject([{ report: 3, hitMs: 100.999, count: 1_000, declined: 500 }]);
});

it("when 64 hits are in flight the next ones are held back, and reported once Redis has answered", () => {
  const outbox = newOutbox();
  for (let i = 0; i < 64; i++) {
    outbox.add(1, 0, i * BUCKET_MS);
    outbox.takeForReport(2 * i + 2, i * BUCKET_MS);
  }
  outbox.add(5, 2, 640);
  expect(outbox.takeForReport(200, 640)).toHaveLength(64);
  expect(outbox.isHoldingBack).toBe(true);
  expect(outbox.heldBackAccepted).toBe(3);
  outbox.confirm(200);
  expect(outbox.hits).toMatchObject([{ report: 0, count: 5, declined: 2 }]);
  expect(outbox.takeForReport(202, 640)).toHaveLength(1);
  expect(outbox.isHoldingBack).toBe(false);
});

it("a long outage leaves at most 64 pending cells, and none of their counts is lost", () => {
  const outbox = newOutbox(Number.POSITIVE_INFINITY);
  for (let i = 0; i < 10_000; i++) outbox.add(1, 0, i * BUCKET_MS);
  expect(outbox.hits.length).toBeLessThanOrEqual(65);
  expect(acceptedOf(outbox.hits)).toBe(10_000);
});

it("64 pending cells keep their times, and of more each two neighbours become one, as late as the later", () => {
  const outbox = newOutbox();
  const add = (cell: number) => outbox.add(1, 0, cell * BUCKET_MS);
  add(0);
  outbox.takeForReport(2, 0);
  outbox.confirm(2);
  // The last one is the newest cell, which has not ended.
  for (let cell = 0; cell <= 64; cell++) add(cell);
  expect(outbox.hits).toHaveLength(65);
  add(65);
  expect(outbox.hits.slice(0, 2)).toMatchObject([
    { hitMs: 10, count: 2 },
    { hitMs: 30, count: 2 },
  ]);
  // 33 have ended. The next ones keep their times too, until there are 64 again.
  for (let cell = 66; cell <= 96; cell++) add(cell);
  expect(outbox.hits).toHaveLength(65);
  expect(outbox.hits.slice(-2)).toMatchObject([{ hitMs: 950 }, { hitMs: 960 }]);
});

it("when neighbours become one, a hit that has expired doesn't live on in a live one", () => {
  const outbox = newOutbox();
  for (let cell = 0; cell < 33; cell++) outbox.add(1, 0, cell * BUCKET_MS);
  for (let cell = 133; cell < 166; cell++) outbox.add(1, 0, cell * BUCKET_MS);
  expect(acceptedOf(outbox.hits)).toBe(33);
});

it("after a clear it reports what comes then, and nothing of before", () => {
  const outbox = newOutbox();
  for (let cell = 0; cell < 40; cell++) outbox.add(1, 0, cell * BUCKET_MS);
  outbox.clear();
  expect(outbox.isEmpty).toBe(true);
  for (let cell = 40; cell < 80; cell++) outbox.add(1, 0, cell * BUCKET_MS);
  expect(outbox.oldestMs).toBe(400);
  expect(outbox.takeForReport(2, 800)).toHaveLength(40);
});

/** A hit as a plain array would keep it. */
interface Noted {
  report: number;
  readonly hitMs: number;
  accepted: number;
  readonly declined: number;
}

const steps = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ what: fc.constant("add"), n: fc.integer({ min: 1, max: 5 }), part: fc.nat({ max: 5 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ what: fc.constant("wait"), n: fc.integer({ min: 1, max: 300 }), part: fc.nat() }),
    },
    { weight: 2, arbitrary: fc.record({ what: fc.constant("send"), n: fc.constant(0), part: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant("addInFlight"), n: fc.integer({ min: 1, max: 5 }), part: fc.nat() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ what: fc.constant("takeBack"), n: fc.integer({ min: 1, max: 9 }), part: fc.nat() }),
    },
  ),
  { maxLength: 120 },
);

it("whatever happens, each live hit is in exactly one state, with its count, as in a plain array", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const cells = new Cells();
      const outbox = newOutbox(WINDOW_MS, cells);
      let noted: Noted[] = [];
      let nowMs = 0;
      let number = 0;
      for (const { what, n, part } of list) {
        if (what === "wait") nowMs += n;
        if (what === "add") {
          const declined = Math.min(n, Number(part));
          outbox.add(n, declined, nowMs);
          noted.push({ report: 0, hitMs: nowMs, accepted: n - declined, declined });
        }
        if (what === "addInFlight") {
          outbox.addInFlight(number + 1, n, 0, nowMs);
          noted.push({ report: number + 1, hitMs: nowMs, accepted: n, declined: 0 });
        }
        if (what === "takeBack") {
          const before = acceptedOf(outbox.hits);
          expect(outbox.takeBack(n)).toBe(n - (before - acceptedOf(outbox.hits)));
          let left = n;
          for (const hit of noted.toReversed()) {
            const taken = Math.min(left, hit.accepted);
            hit.accepted -= taken;
            left -= taken;
          }
        }
        if (what === "send") {
          number += 2;
          const sent = outbox.takeForReport(number, nowMs);
          for (const hit of noted) if (hit.report === 0 && !outbox.isHoldingBack) hit.report = number;
          const live = noted.filter(({ hitMs, report }) => hitMs + WINDOW_MS > nowMs - BUCKET_MS && report !== 0);
          expect(acceptedOf(sent)).toBeLessThanOrEqual(live.reduce((sum, { accepted }) => sum + accepted, 0));
          if (part === true) {
            outbox.confirm(number);
            noted = noted.filter(({ report }) => report === 0 || report > number);
          }
        }
        expectSound(outbox, noted, nowMs);
        // None is lost: those that are in use hold a hit each, but for the newest hit, which may be in the row.
        expect(outbox.hits.length - cells.taken).toBeOneOf([0, 1]);
      }
      outbox.clear();
      expect(cells.taken).toBe(0);
    }),
    { numRuns: 300 },
  );
});

function expectSound(outbox: Outbox, noted: readonly Noted[], nowMs: number): void {
  const hits = outbox.hits;
  for (const [i, hit] of hits.entries()) {
    expect(hit.count).toBeGreaterThan(0);
    expect(hit.declined).toBeGreaterThanOrEqual(0);
    expect(hit.declined).toBeLessThanOrEqual(hit.count);
    if (i > 0) expect(hit.hitMs).toBeGreaterThanOrEqual(hits[i - 1]!.hitMs);
  }
  // A cell expires as a whole, with its newest hit, so hits may stay for a cell longer than a plain array keeps them.
  for (const report of new Set(noted.map((hit) => hit.report))) {
    const ofReport = noted.filter((hit) => hit.report === report);
    const surelyLive = ofReport.filter(({ hitMs }) => hitMs + WINDOW_MS > nowMs);
    const accepted = acceptedOf(hits.filter((hit) => hit.report === report));
    expect(accepted).toBeGreaterThanOrEqual(surelyLive.reduce((sum, hit) => sum + hit.accepted, 0));
    expect(accepted).toBeLessThanOrEqual(ofReport.reduce((sum, hit) => sum + hit.accepted, 0));
  }
  const reports = new Set(noted.map((hit) => hit.report));
  for (const { report } of hits) expect(reports.has(report)).toBe(true);
}
