// Takes that share a script: each is decided, replied and stored as if it had a script of its own.

import fc from "fast-check";
import { expect, it } from "vitest";
import { CallTerms } from "../../src/redis/batch.ts";
import { ABSOLUTE_INC, DIGITS, SUPPRESSED_INC } from "../../src/redis/lua.generated.ts";
import { sendingTakes, type TakeAsk, type TakeCall } from "../../src/redis/take-plan.ts";
import { fieldsOfState, numbersIn } from "../support/stored-state.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

/** Few terms, so that takes are often the same, and a key is asked at another rate now and then. */
const ABSOLUTE = [
  [3, 1],
  [6, 1],
  [7, 3],
  [60, 1],
  [20, 0],
  [1e15, 1],
  [1e15, 3e11],
  [1e15, 4e12],
].map(([limit, count]) => new CallTerms(ABSOLUTE_INC, ["1000", "10", `${count}`, `${limit}`, `${limit}`]));
const SUPPRESSED = [
  [3, 1, 100],
  [3, 2, 0],
  [6, 0, 0],
].map(
  ([limit, count, cacheMs]) =>
    new CallTerms(SUPPRESSED_INC, ["1000", "10", `${count}`, `${limit}`, `${limit}`, `${2 * limit!}`, `${cacheMs}`]),
);

/** @param weightOfAmple of the terms that nearly always admit; those of all other asks together have 3 */
function askOf(weightOfAmple: number): fc.Arbitrary<TakeAsk> {
  const keyOf = (...names: string[]) => fc.constantFrom(...names).map((key) => [key, `${key}b`] as const);
  const absolute = {
    keys: keyOf("a1", "a2", "a3"),
    draw: fc.constant(undefined),
    blockMs: fc.constantFrom(0, 0, 0, 0, 150),
  };
  const suppressed = {
    keys: keyOf("s1", "s2"),
    draw: fc.constantFrom(0, 0.3, 0.7),
    blockMs: fc.constant(0),
  };
  return fc.oneof(
    { arbitrary: fc.record({ terms: fc.constant(ABSOLUTE[3]!), ...absolute }), weight: weightOfAmple },
    { arbitrary: fc.record({ terms: fc.constantFrom(...ABSOLUTE), ...absolute }), weight: 2 },
    { arbitrary: fc.record({ terms: fc.constantFrom(...SUPPRESSED), ...suppressed }), weight: 1 },
  );
}

/** Takes of several users, who share some of the keys. */
const row = fc
  .record({
    waitMs: fc.constantFrom(0, 0, 20, 1_100),
    first: fc.integer({ min: 1, max: 4 }),
    users: fc.integer({ min: 2, max: 9 }),
    limits: fc.array(
      fc.record({
        terms: fc.constantFrom(...ABSOLUTE),
        isShared: fc.boolean(),
        blockMs: fc.constantFrom(0, 0, 0, 150),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ waitMs, first, users, limits }) =>
    Array.from({ length: users }, (_, user) => ({
      waitMs: user === 0 ? waitMs : 0,
      asks: limits.map(({ terms, isShared, blockMs }, index): TakeAsk => {
        const key = isShared ? `shared${index}` : `user${first + user}-${index}`;
        return { terms, keys: [key, `${key}b`], draw: undefined, blockMs };
      }),
      isDenied: false,
      times: 1,
    })),
  );

/** What a key is made before a script: something else, or without what the server has evicted. */
const fate = fc.record({
  key: fc.constantFrom("a1", "a1b", "a2b", "a3b", "s1", "s1b"),
  becomes: fc.constantFrom("foreign", "foreign", "gone"),
});
function roundsOf(
  ask: fc.Arbitrary<TakeAsk>,
  waits: readonly number[],
  { takes, leastRounds, rounds }: { takes: number; leastRounds: number; rounds: number },
  weightOfNoFate: number,
) {
  const take = fc.record({
    waitMs: fc.constantFrom(...waits),
    asks: fc.array(ask, { minLength: 1, maxLength: 4 }),
    isDenied: fc.constantFrom(false, false, false, false, true),
    times: fc.constantFrom(1, 1, 2, 5),
  });
  const round = fc.record({
    takes: fc
      .array(fc.oneof({ arbitrary: take.map((one) => [one]), weight: 5 }, { arbitrary: row, weight: 1 }), {
        minLength: 1,
        maxLength: takes,
      })
      .map((all) => all.flat()),
    fates: fc.oneof(
      { arbitrary: fc.constant([]), weight: weightOfNoFate },
      { arbitrary: fc.array(fate, { maxLength: 2 }), weight: 1 },
    ),
  });
  return fc.array(round, { minLength: leastRounds, maxLength: rounds });
}

const rounds = fc.oneof(
  {
    arbitrary: roundsOf(askOf(3), [0, 0, 0, 0, 0, 20, 130, 1_100, -40], { takes: 8, rounds: 6, leastRounds: 1 }, 2),
    weight: 3,
  },
  // So that keys have lists, which begin with the eleventh live bucket. Where many takes are denied, none does.
  {
    arbitrary: roundsOf(
      askOf(60),
      [20, 20, 20, 20, 20, 20, 20, 0, 130, -40],
      { takes: 3, rounds: 40, leastRounds: 25 },
      30,
    ),
    weight: 1,
  },
);

/** How many scripts had a plan, and how many had none because all takes are plain. */
const sent = { planned: 0, plain: 0 };

async function send(calls: readonly TakeCall[]): Promise<unknown[]> {
  const { script, keys, args } = sendingTakes.together(calls);
  if (args[0]!.startsWith("[")) sent.planned++;
  else sent.plain++;
  return (await redis.client.eval(script.source, keys.length, ...keys, ...args)) as unknown[];
}

/** Everything that a database has, but for fields of states that mean nothing (see STATE in commands.js). */
async function stored(): Promise<[key: string, value: unknown][]> {
  const keys = (await redis.client.keys("*")).sort();
  return Promise.all(
    keys.map(async (key) => {
      const isList = (await redis.client.type(key)) === "list";
      if (isList) return [key, await redis.client.lrangeBuffer(key, 0, -1)];
      const value = (await redis.client.getBuffer(key))!;
      return [key, key.endsWith("b") ? value.toString() : meantBy(value)];
    }),
  );
}

function meantBy(state: Buffer) {
  const { fields, inline } = fieldsOfState(numbersIn(state));
  const { oldestMs, recent, factor, ...others } = fields;
  const { oldestCount, seen, factorMs } = others;
  return {
    ...others,
    inline,
    ...(oldestCount === 0 ? {} : { oldestMs }),
    ...(seen === -1 ? {} : { recent }),
    ...(factorMs === Number.NEGATIVE_INFINITY ? {} : { factor }),
  };
}

async function suffer(fates: readonly { key: string; becomes: string }[]): Promise<void> {
  for (const { key, becomes } of fates) {
    await redis.client.del(key);
    if (becomes === "gone") continue;
    await (key.endsWith("b") ? redis.client.set(key, "not ours") : redis.client.rpush(key, "not ours"));
  }
}

it.each(["each its own time", "the same time"])("shares nothing but the script, at %s", async (times) => {
  Object.assign(sent, { planned: 0, plain: 0 });
  let repeated = 0;
  let failed = 0;
  let lists = 0;
  await fc.assert(
    fc.asyncProperty(rounds, async (drawn) => {
      let nowMs = 1_000_000;
      const given = drawn.map(({ takes, fates }) => {
        if (times === "the same time") nowMs += takes[0]!.waitMs;
        const calls = takes.flatMap(({ waitMs, asks, isDenied, times: count }) => {
          if (times !== "the same time") nowMs += waitMs;
          const call: TakeCall = { keys: [], asks, isDenied, clock: [String(nowMs)] };
          return Array.from({ length: count }, () => call);
        });
        return { calls, fates };
      });
      const outcomes: unknown[] = [];
      for (const together of [true, false]) {
        await redis.client.flushall();
        const seen: unknown[] = [];
        for (const { calls, fates } of given) {
          await suffer(fates);
          const replies: unknown[] = [];
          if (together) replies.push(...(await send(calls)));
          else for (const call of calls) replies.push(...(await send([call])));
          const held = await stored();
          lists += held.filter(([key, value]) => key.endsWith("b") && Array.isArray(value)).length;
          seen.push(replies, held);
          repeated += calls.length - new Set(calls).size;
          failed += replies.filter((reply) => String(reply).startsWith("!")).length;
        }
        outcomes.push(seen);
      }
      expect(outcomes[0]).toEqual(outcomes[1]);
    }),
    { numRuns: 200 },
  );
  expect(Math.min(repeated, failed)).toBeGreaterThan(300);
  // So takes that have a plan together have none alone, and are decided alike.
  expect(Math.min(sent.planned, sent.plain)).toBeGreaterThan(1_000);
  expect(lists).toBeGreaterThan(0);
});

it("plain takes count by each of their numbers as it is, however large", async () => {
  const most = (name: keyof typeof DIGITS.counts) => DIGITS.base ** DIGITS.counts[name] - 1;
  const numbers = fc
    .record({
      windowMs: fc.integer({ min: 2, max: most("window_ms") }),
      bucketShare: fc.double({ min: 0, max: 1, noNaN: true }),
      limit: fc.integer({ min: 3, max: most("limit") }),
      countShare: fc.double({ min: 0, max: 1 / 3, noNaN: true }),
    })
    .map(({ windowMs, bucketShare, limit, countShare }) => ({
      windowMs,
      bucketMs: Math.max(1, Math.floor(Math.min(windowMs, most("bucket_ms")) * bucketShare)),
      limit,
      count: Math.max(1, Math.floor(Math.min(limit, 3 * most("count")) * countShare)),
    }));
  await fc.assert(
    fc.asyncProperty(fc.array(numbers, { minLength: 1, maxLength: 3 }), async (drawn) => {
      for (const [index, { windowMs, bucketMs, limit, count }] of drawn.entries()) {
        await redis.client.flushall();
        const rate = (limit * 1_000) / windowMs;
        const args = [windowMs, bucketMs, count, limit, rate].map(String);
        const drawnAsk = { terms: new CallTerms(ABSOLUTE_INC, args), keys: ["n", "nb"] as const };
        const others = drawn.toSpliced(index, 1).map(({ windowMs: otherMs }, other) => ({
          terms: new CallTerms(ABSOLUTE_INC, [otherMs, 1, 1, 3, 3_000 / otherMs].map(String)),
          keys: [`o${other}`, `o${other}b`] as const,
        }));
        const asks = [...others.slice(0, index), drawnAsk, ...others.slice(index)];
        // The last ms of a bucket's cell, and the first one of the next: at first without a bucket, and then with one.
        const replies: unknown[] = [];
        for (const nowMs of [bucketMs * 7 - 1, bucketMs * 7, bucketMs * 7]) {
          const call = { asks: asks.map((ask) => ({ ...ask, draw: undefined, blockMs: 0 })), keys: [] };
          sent.plain = 0;
          replies.push((await send([{ ...call, isDenied: false, clock: [String(nowMs)] }]))[index]);
          expect(sent.plain).toBe(1);
        }
        const told = ([used, moreMs]: [number, number]) => {
          const whole = used * (windowMs + 1) + moreMs;
          return whole < 1e15 ? whole : `${used} ${moreMs}`;
        };
        const used = [told([count, windowMs]), told([2 * count, windowMs - 1]), told([3 * count, windowMs - 1])];
        expect(replies).toEqual(used);
        const { fields } = fieldsOfState(numbersIn((await redis.client.getBuffer("n"))!));
        expect(fields).toMatchObject({ rate, oldestCount: count, newestCount: 2 * count, total: 3 * count });
      }
    }),
    { numRuns: 200 },
  );
});
