// The replay of `npx trypema size`, held to plain counts of lists.

import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import fc from "fast-check";
import { expect, it } from "vitest";
import { measurePeaks, measureTogether, type SizedWindow, tryLimits, WINDOWS } from "../../src/cli/size/replay.ts";
import { Spool } from "../../src/cli/size/spool.ts";

interface Hit {
  readonly timeMs: number;
  readonly client: number;
  readonly cost: number;
}

const CLIENTS = ["a", "b", "c", "all"];

/** Lengths between requests that meet the edges of buckets and windows. */
const gap = fc.oneof(
  fc.integer({ min: 0, max: 20 }),
  fc.constantFrom(0, 10, 100, 999, 1_000, 1_001, 10_000, 59_900, 60_000, 3_600_000, 86_400_000),
);
const log = fc
  .array(
    fc.record({
      gap,
      client: fc.nat(CLIENTS.length - 1),
      cost: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 9 })),
    }),
    {
      minLength: 1,
      maxLength: 80,
    },
  )
  .map((steps) => {
    let timeMs = Date.UTC(2026, 9, 10);
    return steps.map(({ gap: gapMs, client, cost }): Hit => {
      timeMs += gapMs;
      return { timeMs, client, cost };
    });
  });

/** Runs are short, so that several of them are merged from the file. */
function spoolOf(hits: readonly Hit[]): Spool {
  const spool = new Spool("time", 16);
  for (const { timeMs, client, cost } of hits) spool.add(timeMs, client, cost);
  return spool;
}

/** What is live after each hit that is admitted, by a list of buckets; and the hits that a limit denies. */
function plainly(
  hits: readonly Hit[],
  { windowMs, bucketMs }: SizedWindow,
  limit: number,
): { most: number; denied: Hit[] } {
  let buckets: { cell: number; newestMs: number; count: number }[] = [];
  let most = 0;
  const denied: Hit[] = [];
  for (const hit of hits) {
    buckets = buckets.filter(({ newestMs }) => newestMs + windowMs > hit.timeMs);
    const used = buckets.reduce((sum, { count }) => sum + count, 0) + hit.cost;
    if (used > limit) {
      denied.push(hit);
      continue;
    }
    most = Math.max(most, used);
    const cell = Math.floor(hit.timeMs / bucketMs);
    const newest = buckets.at(-1);
    if (newest?.cell === cell) Object.assign(newest, { newestMs: hit.timeMs, count: newest.count + hit.cost });
    else buckets.push({ cell, newestMs: hit.timeMs, count: hit.cost });
  }
  return { most, denied };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

it.each(WINDOWS)(
  "finds the busiest windows of $windowMs ms, and what limits deny, as a plain count does",
  async (window) => {
    const limits = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(log, limits, async (hits, tried) => {
        const [byTime, byClient] = [spoolOf(hits), new Spool("client", 16)];
        try {
          const of = (client: number) => hits.filter((hit) => hit.client === client);
          const together = await measureTogether(byTime, (...request) => byClient.add(...request));
          expect(together[WINDOWS.indexOf(window)]).toBe(plainly(hits, window, Number.POSITIVE_INFINITY).most);
          const peaks = await measurePeaks(byClient, CLIENTS.length, window);
          const plainPeaks = CLIENTS.map((_, client) => plainly(of(client), window, Number.POSITIVE_INFINITY).most);
          expect([...peaks]).toEqual(plainPeaks);
          for (const { limit, absolute, suppressed } of await tryLimits(
            { byClient, names: CLIENTS, peaks },
            window,
            tried,
          )) {
            const denied = CLIENTS.map((_, client) => plainly(of(client), window, limit).denied);
            expect([...absolute.ofClients]).toEqual(denied.map((list) => list.length));
            expect(absolute.requests).toBe(sum(denied.map((list) => list.length)));
            expect(absolute.cost).toBe(sum(denied.flat().map(({ cost }) => cost)));
            // Suppression draws; but who is within the limit is never denied by it either.
            for (const [client, count] of suppressed.ofClients.entries())
              if (plainPeaks[client]! <= limit) expect(count).toBe(0);
          }
        } finally {
          byTime.close();
          byClient.close();
        }
      }),
      { numRuns: 150 },
    );
  },
);

it("tells all requests client by client, and those of a client by their times", async () => {
  const hit = fc.record({ timeMs: fc.nat(50), client: fc.nat(9), cost: fc.integer({ min: 1, max: 9 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(hit), async (hits) => {
      const spool = new Spool("client", 16);
      const ordered = hits.toSorted((one, other) => one.timeMs - other.timeMs);
      for (const { timeMs, client, cost } of ordered) spool.add(timeMs, client, cost);
      const told: Hit[] = [];
      await spool.read((timeMs, client, cost) => told.push({ timeMs, client, cost }));
      spool.close();
      const place = ({ timeMs, client }: Hit) => client * 100 + timeMs;
      expect(told.map(place)).toEqual(hits.map(place).sort((one, other) => one - other));
      expect(sum(told.map(({ cost }) => cost))).toBe(sum(hits.map(({ cost }) => cost)));
    }),
  );
});

it("leaves no temporary file behind, also when the process is killed", async () => {
  const folders = () => readdirSync(tmpdir()).filter((name) => /^trypema-\w{6}$/.test(name));
  const before = folders();
  const spool = spoolOf(new Array<Hit>(100).fill({ timeMs: 1, client: 0, cost: 1 }));
  expect(folders()).toEqual(before);
  let told = 0;
  await spool.read(() => told++);
  expect(told).toBe(100);
  spool.close();
});

it("tells all requests by their times, whatever the order of lines and files", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ timeMs: fc.nat(50), client: fc.nat(9), cost: fc.integer({ min: 1, max: 9 }) })),
      async (hits) => {
        const spool = spoolOf(hits);
        try {
          for (let pass = 0; pass < 2; pass++) {
            const told: Hit[] = [];
            await spool.read((timeMs, client, cost) => told.push({ timeMs, client, cost }));
            const text = ({ timeMs, client, cost }: Hit) =>
              [timeMs, client, cost].map((number) => String(number).padStart(3)).join();
            expect(told.map(text).sort()).toEqual(hits.map(text).sort());
            for (const [index, { timeMs }] of told.entries())
              expect(timeMs).toBeGreaterThanOrEqual(told[index - 1]?.timeMs ?? 0);
          }
        } finally {
          spool.close();
        }
      },
    ),
  );
});
