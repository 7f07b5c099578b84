// `adjust`, `setIf` and late reports, on Local and in Redis, against a plain list of all buckets: with any history they
// leave the same buckets, and what is remembered of the buckets stays true.

import fc from "fast-check";
import { type History, perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { ForwardClock } from "../../src/core/clock.ts";
import { WindowStore } from "../../src/local/window-store.ts";
import { argumentsOf, type Command, fieldsOf } from "../../src/redis/commands.ts";
import { ADJUST, PEEK, SET_IF, SUPPRESSED_INC, SYNC } from "../../src/redis/lua.generated.ts";
import { type Bucket, cellStartOf } from "../../src/strategy/bucket.ts";
import { adjusted, givenBack, totalOf, withTotal } from "../support/plain-corrections.ts";
import { type PlainWindow, viewOf, withHit } from "../support/plain-window.ts";
import { ASKS_NOTHING } from "../support/reports.ts";
import { readStored, unsoundnessOf, writeStored } from "../support/stored-state.ts";
import { useRedis } from "../support/use-redis.ts";
import { ADJUSTMENTS, type BucketVector, TOTALS } from "./strategy.ts";

const redis = useRedis();

const WINDOW_MS = 20_000;
const BUCKET_MS = 100;
const RATE = perSecond(1);
const STATE = "{k}";
const START_MS = 1_000_000;

/** A key of one of the providers. */
interface Side {
  /** Begins with these buckets, at `nowMs`. */
  fill(buckets: readonly Bucket[], nowMs: number): void | Promise<void>;
  hit(count: number, isDeclined: boolean, nowMs: number): unknown;
  adjust(delta: number, nowMs: number): unknown;
  setTotal(count: number, history: History, nowMs: number): unknown;
  report?(hits: readonly Hit[], nowMs: number): unknown;
  /** Gives so much back that was counted at `countedMs`, as a take does that is denied after it was counted in part. */
  giveBack?(count: number, countedMs: number, declines: boolean, nowMs: number): unknown;
  view(nowMs: number): View | Promise<View>;
  buckets(nowMs: number): readonly Bucket[] | Promise<readonly Bucket[]>;
}

interface View {
  readonly recentPerSecond: number;
  readonly oldestExpiresInMs: number;
}

interface Hit {
  readonly ageMs: number;
  readonly count: number;
  readonly declined: number;
}

class LocalSide implements Side {
  #nowMs = START_MS;
  readonly #store = new WindowStore(WINDOW_MS, BUCKET_MS, 10, new ForwardClock(() => this.#nowMs));

  #at(nowMs: number) {
    this.#nowMs = nowMs;
    if (!this.#store.find("k")) this.#store.insert("k", RATE);
    return this.#store.window;
  }

  fill(buckets: readonly Bucket[], nowMs: number) {
    for (const { hitMs, count, declined } of buckets) this.#at(hitMs).addHit(count, declined);
    this.#at(nowMs);
  }

  hit(count: number, isDeclined: boolean, nowMs: number) {
    const window = this.#at(nowMs);
    if (isDeclined) window.recentPerSecond();
    window.addHit(count, isDeclined ? count : 0);
  }

  adjust(delta: number, nowMs: number) {
    const window = this.#at(nowMs);
    if (window.observed > 0) window.adjust(delta);
    if (window.observed === 0) this.#store.remove();
  }

  setTotal(count: number, history: History, nowMs: number) {
    const window = this.#at(nowMs);
    if (count > 0) window.setTotal(count, history);
    else this.#store.remove();
  }

  view(nowMs: number) {
    const window = this.#at(nowMs);
    return { recentPerSecond: window.recentPerSecond(), oldestExpiresInMs: window.oldestExpiresInMs };
  }

  buckets(nowMs: number) {
    return this.#at(nowMs).buckets();
  }
}

class RedisSide implements Side {
  #reports = 0;

  async fill(buckets: readonly Bucket[]) {
    await redis.client.flushall();
    await writeStored(redis.client, STATE, buckets, { rate: RATE });
    for (const key of [STATE, `${STATE}b`]) await redis.client.pexpire(key, 1_000_000);
  }

  #run<Reply>(command: Command<never, Reply>, values: object, nowMs: number): Promise<unknown> {
    const own = { windowMs: WINDOW_MS, bucketMs: BUCKET_MS, clockMs: nowMs, rate: RATE };
    const keys = [STATE, `${STATE}b`, `${STATE}l`].slice(0, command === (SYNC as unknown) ? 3 : 2);
    const args = argumentsOf(command, { ...own, ...values } as never);
    return redis.client.eval(command.source, keys.length, ...keys, ...args);
  }

  /** A call that the factor denies makes Redis look at the recent span, and a call under the limit doesn't. */
  hit(count: number, isDeclined: boolean, nowMs: number) {
    const limit = isDeclined ? 0 : 1e15;
    return this.#run(SUPPRESSED_INC, { count, limit, hardLimit: 1e15, suppressionCacheMs: 0, draw: -1 }, nowMs);
  }

  adjust(delta: number, nowMs: number) {
    return this.#run(ADJUST, { delta, countedMs: undefined, declines: false }, nowMs);
  }

  giveBack(count: number, countedMs: number, declines: boolean, nowMs: number) {
    return this.#run(ADJUST, { delta: -count, countedMs, declines }, nowMs);
  }

  setTotal(count: number, history: History, nowMs: number) {
    return this.#run(SET_IF, { op: "always", value: 0, count, history }, nowMs);
  }

  report(hits: readonly Hit[], nowMs: number) {
    const report = ++this.#reports;
    const lines = hits.map((hit) => ({ ...hit, report }));
    return this.#run(
      SYNC,
      { ...ASKS_NOTHING, limit: 1e15, rateIsNew: false, process: "p", report, hits: lines },
      nowMs,
    );
  }

  async view(nowMs: number) {
    return fieldsOf(PEEK, await this.#run(PEEK, { count: Number.MAX_SAFE_INTEGER, sheds: true }, nowMs));
  }

  async buckets(nowMs: number) {
    const stored = await readStored(redis.client, STATE);
    expect(unsoundnessOf(stored, { nowMs, bucketMs: BUCKET_MS, capacity: undefined })).toEqual([]);
    return (stored.state?.buckets ?? []).filter(({ hitMs }) => hitMs + WINDOW_MS > nowMs);
  }
}

/** The window with the hits of a report. Those that are a bit older than the newest bucket count as of that. */
function withReport(window: PlainWindow, hits: readonly Hit[]): PlainWindow {
  const { nowMs, windowMs, bucketMs } = window;
  let after = window;
  const late: Bucket[] = [];
  for (const { ageMs, count, declined } of hits) {
    const hitMs = nowMs - ageMs;
    const newestMs = after.buckets.at(-1)?.hitMs ?? Number.NEGATIVE_INFINITY;
    if (hitMs + windowMs <= nowMs) continue;
    if (hitMs + Math.max(bucketMs, windowMs / 100) < newestMs) late.push({ hitMs, count, declined });
    else after = { ...withHit({ ...after, nowMs: Math.max(hitMs, newestMs) }, count, declined), nowMs };
  }
  const merged = new Map<number, Bucket>();
  for (const bucket of [...after.buckets, ...late].toSorted((one, other) => one.hitMs - other.hitMs)) {
    const cellMs = cellStartOf(bucket.hitMs, bucketMs);
    const { count = 0, declined = 0 } = merged.get(cellMs) ?? {};
    merged.set(cellMs, { hitMs: bucket.hitMs, count: count + bucket.count, declined: declined + bucket.declined });
  }
  return { ...after, buckets: [...merged.values()] };
}

const counts = fc.integer({ min: 1, max: 9 });
const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ method: fc.constant("hit"), count: counts }) },
    { weight: 3, arbitrary: fc.record({ method: fc.constant("deny"), count: counts }) },
    { weight: 6, arbitrary: fc.record({ method: fc.constant("adjust"), count: fc.integer({ min: -12, max: 3 }) }) },
    { weight: 1, arbitrary: fc.record({ method: fc.constant("adjust"), count: fc.integer({ min: -400, max: 9 }) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        method: fc.constantFrom("preserve-newest", "preserve-oldest", "share-newest", "share-oldest"),
        count: counts,
      }),
    },
    { weight: 1, arbitrary: fc.record({ method: fc.constant("replace"), count: counts }) },
    { weight: 1, arbitrary: fc.record({ method: fc.constant("report"), count: counts }) },
    {
      weight: 3,
      arbitrary: fc.record({
        method: fc.constantFrom("give back", "decline"),
        count: fc.integer({ min: 1, max: 60 }),
        ageMs: fc.constantFrom(0, 0, 30, 100, 500, 2_000, 15_000),
      }),
    },
  ),
  { maxLength: 30 },
);

const lengths = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 5, max: 12 }), fc.constant(40));

/** Up to 200 buckets, with long runs of those in which nothing is accepted. */
const histories = fc
  .array(fc.record({ length: lengths, declinedShare: fc.constantFrom(0, 0.5, 1), count: counts }), {
    maxLength: 8,
  })
  .map((runs) => runs.flatMap(({ length, ...run }) => new Array<typeof run>(length).fill(run)).slice(-190))
  .map((list) =>
    list.map(({ count, declinedShare }, i): Bucket => {
      const hitMs = START_MS - (list.length - i) * BUCKET_MS + 60;
      return { hitMs, count, declined: Math.floor(count * declinedShare) };
    }),
  );

const waits = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(0, 30, 100, 700, 5_000) },
  { weight: 1, arbitrary: fc.constant(WINDOW_MS) },
);

const cases = fc.record({ buckets: histories, steps, waitsMs: fc.array(waits) });

async function take(side: Side, plain: PlainWindow, method: string, count: number, ageMs = 0): Promise<PlainWindow> {
  const { nowMs, buckets } = plain;
  switch (method) {
    case "hit":
    case "deny": {
      await side.hit(count, method === "deny", nowMs);
      return withHit(plain, count, method === "deny" ? count : 0);
    }
    case "adjust":
      await side.adjust(count, nowMs);
      return { ...plain, buckets: adjusted(buckets, count) };
    case "report": {
      const hits = [30, 700, 1_400].map((ms, i): Hit => ({ ageMs: count * ms, count: i + 1, declined: i }));
      if (side.report === undefined) return plain;
      await side.report(hits, nowMs);
      return withReport(plain, hits);
    }
    case "give back":
    case "decline": {
      if (side.giveBack === undefined) return plain;
      const declines = method === "decline";
      await side.giveBack(count, nowMs - ageMs, declines, nowMs);
      const endMs = cellStartOf(nowMs - ageMs, BUCKET_MS) + BUCKET_MS;
      return { ...plain, buckets: givenBack(buckets, count, ({ hitMs }) => hitMs >= endMs, declines) };
    }
    default: {
      const history = method.replace("share", "preserve") as History;
      const total = method.startsWith("share") ? Math.floor((totalOf(buckets) * count) / 10) : totalOf(buckets) + count;
      await side.setTotal(total, history, nowMs);
      return { ...plain, buckets: withTotal(buckets, total, history, nowMs) };
    }
  }
}

describe.each([
  ["Local", () => new LocalSide(), 400],
  ["Redis", () => new RedisSide(), 250],
] as const)("%s", (_name, open, numRuns) => {
  const settings = { windowMs: WINDOW_MS, bucketMs: BUCKET_MS, rate: RATE, factor: 0, factorMs: 0 };
  const empty: PlainWindow = { ...settings, buckets: [], leased: 0, leasedUntilMs: 0, nowMs: START_MS };
  const bucketsOf = (vectors: readonly BucketVector[]) =>
    vectors.map(([cell, count, declined]): Bucket => ({ hitMs: START_MS + cell * BUCKET_MS, count, declined }));

  it.each(ADJUSTMENTS)("adjusts %j by %d to %j", async (before, delta, after) => {
    const side = open();
    const nowMs = START_MS + 5 * BUCKET_MS;
    await side.fill(bucketsOf(before), nowMs);
    await side.adjust(delta, nowMs);
    expect(await side.buckets(nowMs)).toEqual(bucketsOf(after));
  });

  it.each(TOTALS)("sets the total of %j to %d, %s at %d, as %j", async (before, count, history, cell, after) => {
    const side = open();
    const nowMs = START_MS + cell * BUCKET_MS;
    await side.fill(bucketsOf(before), nowMs);
    await side.setTotal(count, history, nowMs);
    expect(await side.buckets(nowMs)).toEqual(bucketsOf(after));
  });

  it("takes from what is accepted below and between long runs of denied calls", async () => {
    const side = open();
    await side.fill([], START_MS);
    let plain: PlainWindow = empty;
    for (let i = 0; i < 50; i++) {
      plain = { ...plain, nowMs: START_MS + i * BUCKET_MS };
      const isDenied = Math.floor((i - 1) / 8) % 2 === 1 || i > 40;
      plain = await take(side, plain, isDenied ? "deny" : "hit", 1);
    }
    const accepted = plain.buckets.filter(({ declined }) => declined === 0).length;
    for (let i = 0; i < accepted; i++) {
      plain = await take(side, plain, "adjust", -1);
      expect(await side.buckets(plain.nowMs)).toEqual(plain.buckets);
    }
  });

  it("corrects a long history as a plain list would be", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ buckets, steps, waitsMs }) => {
        const side = open();
        await side.fill(buckets, START_MS);
        let plain: PlainWindow = { ...empty, buckets };
        for (const [i, { method, count, ...given }] of steps.entries()) {
          const nowMs = plain.nowMs + (waitsMs[i] ?? 0);
          plain = { ...plain, nowMs, buckets: plain.buckets.filter(({ hitMs }) => hitMs + WINDOW_MS > nowMs) };
          const { ageMs } = given as { readonly ageMs?: number };
          plain = await take(side, plain, method, count, ageMs);
          expect(await side.buckets(nowMs)).toEqual(plain.buckets);
          if (plain.buckets.length === 0) continue;
          const { oldestExpiresInMs, recentPerSecond } = viewOf(plain);
          const expected = { oldestExpiresInMs, recentPerSecond: recentPerSecond() };
          expect(await side.view(nowMs)).toMatchObject(expected);
        }
      }),
      { numRuns },
    );
  });
});
