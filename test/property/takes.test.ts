// Several limits checked as one: every provider takes as the specification kept in plain arrays does.

import fc from "fast-check";
import { Redis } from "ioredis";
import {
  createLimits,
  createLocalProvider,
  type Decision,
  type LimitDefinition,
  type LimiterOptions,
  type Provider,
} from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { OpenClient } from "../support/clients.ts";
import { clientThatSplits, MAIN_CLIENTS } from "../support/clients.ts";
import { type NaiveAsk, type NaiveLimit, NaiveLimits, type NaiveTaken } from "../support/naive-limits.ts";
import { RedisCluster, RedisServer } from "../support/redis.ts";
import { startsMs } from "../support/schedules.ts";

const NAMES = ["one", "two", "three"] as const;
type Name = (typeof NAMES)[number];

const limit: fc.Arbitrary<NaiveLimit> = fc
  .record({
    limit: fc.oneof(
      { arbitrary: fc.integer({ min: 1, max: 12 }), weight: 2 },
      { arbitrary: fc.integer({ min: 30, max: 60 }), weight: 1 },
    ),
    windowMs: fc.constantFrom(100, 312.5, 1_000, 2_500),
    bucketShare: fc.constantFrom(0.01, 0.1, 1),
    strategy: fc.constantFrom("absolute" as const, "absolute" as const, "suppressed" as const),
    blockShare: fc.constantFrom(0, 0, 0.3, 2),
  })
  .map(({ bucketShare, blockShare, ...rest }) => ({
    ...rest,
    bucketMs: Math.max(1, rest.windowMs * bucketShare),
    blockMs: rest.strategy === "absolute" ? rest.windowMs * blockShare : 0,
  }));

const count = fc.oneof(
  { arbitrary: fc.constant(1), weight: 4 },
  { arbitrary: fc.integer({ min: 0, max: 8 }), weight: 1 },
);

type Asks = Readonly<Partial<Record<Name, { key: string; count: number; override: number }>>>;

/** A call of another process, which comes while a take is between two slots of a Cluster. */
interface CallMeanwhile {
  readonly waitMs: number;
  readonly name: Name;
  readonly key: string;
  readonly count: number;
}

type Step = { readonly waitMs: number } & (
  | { readonly what: "take"; readonly asks: Asks; readonly meanwhile: readonly CallMeanwhile[] }
  /** Takes that are made without waiting for one another, so that on Redis they share a script. */
  | { readonly what: "crowd"; readonly takes: readonly { waitMs: number; asks: Asks; times: number }[] }
  | { readonly what: "refund" }
  | { readonly what: "settle"; readonly name: Name; readonly count: number }
  | { readonly what: "block"; readonly name: Name; readonly key: string; readonly ms: number }
  | { readonly what: "unblock"; readonly name: Name; readonly key: string }
);

interface Kind {
  /** Whether a take is for the same key in every limit: so it is one slot of a Cluster. */
  readonly sameKey: boolean;
  /**
   * Whether all that comes within a bucket comes at the same time. What several slots of a Cluster give back leaves the
   * bucket the time of the take.
   */
  readonly hasPointBuckets?: boolean;
  /** Whether takes that are made together are decided in their order and at their times. */
  readonly hasCrowds: boolean;
  /** 0 where no factor may be kept. Hybrid's reports compute factors too, at times when the arrays have no call. */
  readonly suppressionCacheMs?: 0;
  /** Where each key is in a slot of its own, and others call between the slots of a take: how they do. */
  readonly between?: BetweenSlots;
}

/** Calls of others that come between two slots of a take. */
class BetweenSlots {
  others!: Limits;
  /** The time in the arrays, while it isn't that of the clock. */
  plainClock: { nowMs: number } | undefined;
  #calls: (() => Promise<void>) | undefined;
  #firstKey: string | undefined;

  /** Has `calls` come between the slots that are asked during `work`. */
  async during<T>(work: () => Promise<T>, calls: () => Promise<void>): Promise<T> {
    this.#calls = calls;
    this.#firstKey = undefined;
    const done = await work();
    this.#calls = undefined;
    return done;
  }

  /** A script about this key comes next. */
  async noteScript(key: string): Promise<void> {
    this.#firstKey ??= key;
    if (key === this.#firstKey) return;
    const calls = this.#calls;
    this.#calls = undefined;
    await calls?.();
  }
}

/**
 * @param isDense whether nearly all steps are about one key, in bucket after bucket, so that it has many: Redis keeps
 * some of them in a list from the eleventh on
 */
function stepsOf({ sameKey, hasCrowds, hasPointBuckets = false }: Kind, isDense: boolean): fc.Arbitrary<Step[]> {
  const key = fc.constantFrom("a", isDense ? "a" : "b");
  const ask = fc.record({
    key: sameKey ? fc.constant("a") : key,
    count,
    override: fc.oneof(
      { arbitrary: fc.constant(0), weight: 5 },
      { arbitrary: fc.integer({ min: 1, max: 20 }), weight: 1 },
    ),
  });
  const anyAsks = fc
    .tuple(fc.record({ one: ask, two: ask, three: ask }), fc.subarray([...NAMES], { minLength: 1 }), key)
    .map(([all, names, chosen]) =>
      Object.fromEntries(names.map((name) => [name, sameKey ? { ...all[name], key: chosen } : all[name]])),
    );
  const plain = { count: 1, override: 0 };
  const plainAsks = key.map((one) => Object.fromEntries(NAMES.map((name) => [name, { key: one, ...plain }])));
  const asks: fc.Arbitrary<Asks> = fc.oneof({ arbitrary: anyAsks, weight: 3 }, { arbitrary: plainAsks, weight: 1 });
  const name = fc.constantFrom(...NAMES);
  const crowd = fc.array(
    fc.record({
      waitMs: fc.oneof({ arbitrary: fc.constant(0), weight: 8 }, { arbitrary: fc.nat(200), weight: 1 }),
      asks,
      times: fc.oneof(
        { arbitrary: fc.constant(1), weight: 2 },
        { arbitrary: fc.integer({ min: 2, max: 8 }), weight: 1 },
      ),
    }),
    { minLength: 2, maxLength: 6 },
  );
  const meanwhile = fc.array(
    fc.record({ waitMs: fc.oneof(fc.constantFrom(0, 1, 10, 100), fc.nat(400)), name, key, count }),
    { maxLength: 4 },
  );
  const what = fc.oneof(
    { arbitrary: fc.record({ what: fc.constant("take" as const), asks, meanwhile }), weight: 12 },
    { arbitrary: fc.record({ what: fc.constant("crowd" as const), takes: crowd }), weight: hasCrowds ? 4 : 0 },
    { arbitrary: fc.record({ what: fc.constant("refund" as const) }), weight: 1 },
    { arbitrary: fc.record({ what: fc.constant("settle" as const), name, count: fc.nat(9) }), weight: 1 },
    {
      arbitrary: fc.record({ what: fc.constant("block" as const), name, key, ms: fc.integer({ min: 1, max: 3_000 }) }),
      weight: 1,
    },
    { arbitrary: fc.record({ what: fc.constant("unblock" as const), name, key }), weight: 1 },
  );
  const waitMs = fc.oneof(
    { arbitrary: fc.constant(0), weight: 4 },
    { arbitrary: fc.integer({ min: 0, max: 120 }), weight: 4 },
    { arbitrary: fc.constantFrom(0.25, 1, 7.5, 10, 25, 100, 250), weight: 1 },
    { arbitrary: fc.constant(25), weight: isDense ? 150 : 0 },
    { arbitrary: fc.integer({ min: 0, max: 3_000 }), weight: 1 },
  );
  return fc.array(
    fc.tuple(waitMs, what).map(([wait, one]) => ({ waitMs: hasPointBuckets ? Math.ceil(wait) : wait, ...one }) as Step),
    { maxLength: 60 },
  );
}

/** A draw that some factors admit and others don't. With draws in turn, providers that draw ahead would differ. */
const random = () => 0.5;

/** What random steps seldom are: a suppressed limit is over its soft limit with the first call after a block. */
const AFTER_A_BLOCK = {
  limits: {
    one: { limit: 1, windowMs: 100, bucketMs: 1, strategy: "absolute" as const, blockMs: 0 },
    two: { limit: 1, windowMs: 100, bucketMs: 1, strategy: "suppressed" as const, blockMs: 0 },
    three: { limit: 1, windowMs: 100, bucketMs: 1, strategy: "absolute" as const, blockMs: 0 },
  },
  hardLimitFactor: 4 as const,
  suppressionCacheMs: 100 as const,
  startMs: 1_000_000,
  steps: [
    { waitMs: 0, what: "block", name: "two", key: "a", ms: 1 },
    { waitMs: 1, what: "take", asks: { two: { key: "a", count: 2, override: 0 } }, meanwhile: [] },
  ] as Step[],
};

function promises(
  open: (options: LimiterOptions, definitions: ReturnType<typeof definitionsOf>) => Provider | Promise<Provider>,
  { numRuns, ...kind }: Kind & { readonly numRuns: number },
) {
  return async () => {
    const cases = fc.record({
      limits: fc.record({ one: limit, two: limit, three: limit }),
      hardLimitFactor: fc.constantFrom(1, 1.5, 4),
      suppressionCacheMs: fc.constantFrom(...(kind.suppressionCacheMs === 0 ? [0] : [0, 100])),
      steps: fc.constantFrom(false, false, true).chain((isDense) => stepsOf(kind, isDense)),
      startMs: startsMs,
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ limits: any, steps, startMs, ...suppression }) => {
        const drawn = kind.hasPointBuckets === true ? withPointBuckets(any) : any;
        const clock = manualClock(startMs);
        const options = { windowMs: 60_000, bucketMs: 100, clock, random, ...suppression };
        const { between } = kind;
        const naive = new NaiveLimits(drawn, { ...options, clock: () => between?.plainClock?.nowMs ?? clock() });
        const definitions = definitionsOf(drawn);
        const provider = await open(options, definitions);
        const limits = createLimits(provider, definitions);
        await runSteps(steps, { clock, limits, naive, drawn, between });
        await provider.close();
      }),
      { numRuns, examples: [[AFTER_A_BLOCK]] },
    );
  };
}

function withPointBuckets({ one, two, three }: Running["drawn"]): Running["drawn"] {
  const bucketMs = 1;
  return { one: { ...one, bucketMs }, two: { ...two, bucketMs }, three: { ...three, bucketMs } };
}

function definitionsOf(drawn: Readonly<Record<Name, NaiveLimit>>) {
  const definition = (name: Name) => {
    const { blockMs, ...rest } = drawn[name];
    return (blockMs === 0 ? rest : { ...rest, blockMs: Math.max(1, blockMs) }) as LimitDefinition;
  };
  return { one: definition("one"), two: definition("two"), three: definition("three") };
}

function partsOf({ allowed, deniedBy, retryAfterMs, decisions }: NaiveTaken): NaiveTaken {
  return { allowed, deniedBy, retryAfterMs, decisions };
}

/** What is foreseen says when more is free after a call, and not after none. */
function withoutPace(taken: NaiveTaken) {
  const decisions = Object.entries(taken.decisions).map(([name, decision]) => [name, { ...decision, moreAfterMs: 0 }]);
  return { ...partsOf(taken), decisions: Object.fromEntries(decisions) };
}

type Limits = ReturnType<typeof createLimits<Provider, Name>>;

interface Running {
  readonly clock: ReturnType<typeof manualClock>;
  readonly limits: Limits;
  readonly naive: NaiveLimits;
  readonly drawn: Readonly<Record<Name, NaiveLimit>>;
  readonly between: BetweenSlots | undefined;
}

/** What a take is given, in the shortest form that there is, and what the arrays are. */
function argumentsOf(asked: Asks, drawn: Running["drawn"]) {
  const asks = Object.entries(asked).map(([name, ask]) => [name as Name, ask] as const);
  const [key] = asks.map(([, ask]) => ask.key);
  const hasOneKey = asks.length === NAMES.length && asks.every(([, ask]) => ask.key === key);
  const keys = (hasOneKey ? key : Object.fromEntries(asks.map(([name, ask]) => [name, ask.key]))) as string;
  const counts = asks.every(([, ask]) => ask.count === 1)
    ? undefined
    : (Object.fromEntries(asks.map(([name, ask]) => [name, ask.count])) as never);
  const overridden = asks.filter(([, { override }]) => override > 0);
  const overrides =
    overridden.length === 0
      ? undefined
      : (Object.fromEntries(overridden.map(([name, { override }]) => [name, { limit: override }])) as never);
  const naiveAsks = Object.fromEntries(
    asks.map(([name, ask]) => [name, { ...ask, limit: ask.override > 0 ? ask.override : drawn[name].limit }]),
  );
  return { keys, counts, overrides, naiveAsks };
}

async function takeTogether(
  takes: (Step & { what: "crowd" })["takes"],
  { clock, limits, naive, drawn }: Omit<Running, "between">,
): Promise<void> {
  const expected: NaiveTaken[] = [];
  const taken = takes.flatMap(({ waitMs, asks, times }) => {
    clock.advance(waitMs);
    const { keys, counts, overrides, naiveAsks } = argumentsOf(asks, drawn);
    return Array.from({ length: times }, () => {
      expected.push(naive.take(naiveAsks));
      return limits.take(keys, counts, overrides);
    });
  });
  expect((await Promise.all(taken)).map(partsOf)).toEqual(expected);
}

/** A take whose slots are asked one after the other, while others call. */
async function takeInTurn(
  { asks, meanwhile }: Step & { what: "take" },
  between: BetweenSlots,
  { clock, limits, naive, drawn }: Omit<Running, "between">,
) {
  const { keys, counts, overrides, naiveAsks } = argumentsOf(asks, drawn);
  const plainClock = { nowMs: clock() };
  between.plainClock = plainClock;
  let calls: readonly CallMeanwhile[] = [];
  const expected: boolean[] = [];
  const admitted = naive.takeInTurn(naiveAsks, plainClock, (unasked) => {
    // Of what wasn't asked yet nobody hears anything, because the take asks it as of its own time.
    calls = meanwhile.filter((call) => !unasked.some(([name, { key }]) => name === call.name && key === call.key));
    for (const { waitMs, name, key, count } of calls) {
      plainClock.nowMs += waitMs;
      expected.push(naive.take({ [name]: { key, count, limit: drawn[name].limit } }).allowed);
    }
  });
  between.plainClock = undefined;
  const taken = await between.during(
    async () => limits.take(keys, counts, overrides),
    async () => {
      const allowed: boolean[] = [];
      for (const { waitMs, name, key, count } of calls) {
        clock.advance(waitMs);
        allowed.push((await between.others.take({ [name]: key } as never, count)).allowed);
      }
      expect(allowed).toEqual(expected);
    },
  );
  expect(clock()).toBe(plainClock.nowMs);
  const decided = Object.entries<Decision>(taken.decisions).map(([name, { allowed }]) => [name, allowed]);
  expect(Object.fromEntries(decided)).toEqual(admitted);
  return { taken, asks: naiveAsks };
}

async function runSteps(steps: readonly Step[], { between, ...running }: Running): Promise<void> {
  const { clock, limits, naive, drawn } = running;
  let last: { taken: Awaited<ReturnType<typeof limits.take>>; asks: Record<string, NaiveAsk> };
  last = undefined as never;
  let lastMs = 0;
  /** Corrects the last take in the arrays. */
  const correct = (counts: Readonly<Record<string, number>>) => {
    if (last === undefined || !last.taken.allowed) return;
    for (const [name, ask] of Object.entries(last.asks)) {
      const wanted = counts[name];
      if (wanted === undefined || clock() - lastMs >= drawn[name as Name].windowMs || wanted === ask.count) continue;
      naive.correct(name, ask, wanted - ask.count);
      ask.count = wanted;
    }
  };
  for (const step of steps) {
    clock.advance(step.waitMs);
    if (step.what === "crowd") {
      await takeTogether(step.takes, running);
    } else if (step.what === "take" && between !== undefined) {
      lastMs = clock();
      last = await takeInTurn(step, between, running);
    } else if (step.what === "take") {
      const { keys, counts, overrides, naiveAsks } = argumentsOf(step.asks, drawn);
      const foreseen = await limits.peek(keys, counts, overrides);
      const expected = naive.take(naiveAsks);
      const taken = await limits.take(keys, counts, overrides);
      const { decisions } = taken;
      expect(partsOf(taken)).toEqual(expected);
      for (const [name, decision] of Object.entries(decisions)) {
        expect((decision as { blocked?: true }).blocked).toBe(expected.decisions[name]!.blocked);
      }
      const beginsBlock = Object.keys(decisions).some(
        (name) =>
          expected.decisions[name]!.blocked && !(foreseen.decisions as typeof expected.decisions)[name]!.blocked,
      );
      // The hints of a suppressed limit are about what it has counted of the call itself.
      const isAbsolute = Object.keys(step.asks).every((name) => drawn[name as Name].strategy === "absolute");
      if (isAbsolute && !beginsBlock) expect(withoutPace(foreseen)).toEqual(withoutPace(expected));
      last = { taken, asks: naiveAsks };
      lastMs = clock();
    } else if (step.what === "refund") {
      await last?.taken.refund();
      correct({ one: 0, two: 0, three: 0 });
    } else if (step.what === "settle") {
      const isAsked = last !== undefined && step.name in last.asks;
      if (isAsked) await last.taken.settle({ [step.name]: step.count } as never);
      if (isAsked) correct({ [step.name]: step.count });
    } else if (step.what === "block") {
      await limits.limiter(step.name).block(step.key, step.ms);
      naive.limiter(step.name).block(step.key, step.ms);
    } else {
      await limits.limiter(step.name).unblock(step.key);
      naive.limiter(step.name).unblock(step.key);
    }
    for (const name of NAMES) {
      for (const one of ["a", "b"]) {
        expect(await limits.limiter(name).get(one)).toEqual(naive.limiter(name).get(one));
      }
    }
  }
}

it(
  "Local takes as the specification kept in plain arrays does",
  promises((options) => createLocalProvider(options), { sameKey: false, hasCrowds: true, numRuns: 300 }),
);

describe("with Redis", () => {
  let server: RedisServer;
  let cluster: RedisCluster;
  const opened: Record<string, OpenClient> = {};
  let prefixes = 0;

  beforeAll(async () => {
    [server, cluster] = await Promise.all([RedisServer.start(), RedisCluster.start()]);
  });

  afterAll(async () => {
    for (const { close } of Object.values(opened)) await close();
    await Promise.all([server.stop(), cluster.stop()]);
  });

  const openWith = (name: string, create: typeof createRedisProvider | typeof createHybridProvider) => {
    return async (options: LimiterOptions): Promise<Provider> => {
      opened[name] ??= await MAIN_CLIENTS[name]!({ server, cluster });
      return create(opened[name].client, { ...options, prefix: `takes-${++prefixes}`, timeoutMs: 30_000 });
    };
  };

  it.each(Object.keys(MAIN_CLIENTS))("Redis takes so too, with %s", async (name) => {
    const sameKey = name.includes("Cluster");
    await promises(openWith(name, createRedisProvider), { sameKey, hasCrowds: true, numRuns: 100 })();
  });

  it.each(Object.keys(MAIN_CLIENTS).filter((name) => name.includes("Cluster")))(
    "Redis takes so too where the keys of a take are in several slots, with %s",
    async (name) => {
      const kind = { sameKey: false, hasPointBuckets: true, hasCrowds: false, numRuns: 100 };
      await promises(openWith(name, createRedisProvider), kind)();
    },
  );

  it("Redis takes so too where others call while a take goes from slot to slot", async () => {
    const between = new BetweenSlots();
    const client = new Redis(server.port);
    const splitting = clientThatSplits(
      () => client,
      (key) => between.noteScript(key),
    );
    const open = (options: LimiterOptions, definitions: ReturnType<typeof definitionsOf>) => {
      const own = { ...options, prefix: `takes-${++prefixes}`, timeoutMs: 30_000 };
      between.others = createLimits<Provider, Name>(createRedisProvider(client, own), definitions);
      return createRedisProvider(splitting, own);
    };
    await promises(open, { sameKey: false, hasCrowds: false, between, numRuns: 200 })();
    client.disconnect();
  });

  it("Hybrid takes so too, where it is alone", async () => {
    const kind = { sameKey: false, hasCrowds: false, suppressionCacheMs: 0, numRuns: 100 } as const;
    await promises(openWith("ioredis", createHybridProvider), kind)();
  });
});
