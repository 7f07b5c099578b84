// What the types of several limits promise. `tsc` checks this file: a line that is expected to be an error has to be
// one. What doesn't compile is refused when it runs, too, for callers who have no types.

import { type Awaitable, createLimits, createLocalProvider, type Decision, type Provider, perMinute } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { describe, expect, expectTypeOf, it } from "vitest";

const definitions = {
  burst: { limit: 10, windowMs: 1_000 },
  day: { limit: 5_000, windowMs: 86_400_000, bucketMs: 60_000 },
  tokens: { rate: perMinute(1_000), windowMs: 60_000, strategy: "suppressed" },
} as const;

type Names = "burst" | "day" | "tokens";

const limits = createLimits(createLocalProvider(), definitions);
/** Never asked: no Redis is needed to see what its answers are. */
const client = { sendCommand: () => Promise.reject(new Error("there is no Redis")) };

function refuses(code: string, call: () => unknown): void {
  expect(call).toThrow(expect.objectContaining({ name: "TrypemaError", code }));
}

describe("what is asked", () => {
  it("are limits that there are, each with a key", () => {
    // @ts-expect-error: a wrong name
    refuses("INVALID_OPTION", () => limits.take({ wrong: "k" }));
    // @ts-expect-error: a wrong name beside a right one
    refuses("INVALID_OPTION", () => limits.take({ burst: "k", wrong: "k" }));
    const keys = { burst: "k", wrong: "k" };
    // @ts-expect-error: a wrong name, of an object that was made before
    refuses("INVALID_OPTION", () => limits.take(keys));
    // @ts-expect-error: no limit
    refuses("INVALID_KEY", () => limits.take({}));
    // @ts-expect-error: no keys
    refuses("INVALID_KEY", () => limits.take());
    // @ts-expect-error: a limit without a key
    refuses("INVALID_KEY", () => limits.take({ burst: undefined }));
    const maybe: { key?: string } = {};
    // @ts-expect-error: a limit whose key may be missing
    refuses("INVALID_KEY", () => limits.take({ burst: maybe.key, day: "k" }));
    // @ts-expect-error: a key that is no text
    refuses("INVALID_KEY", () => limits.take({ burst: 5 }));
    // @ts-expect-error: a wrong name
    refuses("INVALID_OPTION", () => limits.peek({ wrong: "k" }));
    // @ts-expect-error: no limit
    refuses("INVALID_KEY", () => limits.peek({}));
    // @ts-expect-error: a wrong name
    refuses("INVALID_OPTION", () => limits.limiter("wrong"));
  });

  it("has counts only for what is asked, and other limits only for what there is", () => {
    // @ts-expect-error: a count for a limit that isn't asked
    refuses("INVALID_OPTION", () => limits.take({ burst: "k" }, { day: 1 }));
    // @ts-expect-error: the same beside a right one
    refuses("INVALID_OPTION", () => limits.take({ burst: "k" }, { burst: 1, day: 1 }));
    // @ts-expect-error: a count for a limit that there isn't
    refuses("INVALID_OPTION", () => limits.take("k", { burst: 1, wrong: 1 }));
    // @ts-expect-error: a text in place of a count
    refuses("INVALID_COUNT", () => limits.take({ burst: "k" }, { burst: "1" }));
    // @ts-expect-error: another limit for one that there isn't
    refuses("INVALID_OPTION", () => limits.take({ burst: "k" }, 1, { wrong: 5 }));
    // @ts-expect-error: the same beside a right one
    refuses("INVALID_OPTION", () => limits.peek({ burst: "k" }, 1, { burst: 5, wrong: 5 }));
    // @ts-expect-error: neither a limit nor a rate
    refuses("INVALID_OPTION", () => limits.take({ burst: "k" }, 1, { burst: {} }));
    // @ts-expect-error: a limit and a rate
    refuses("INVALID_OPTION", () => limits.take({ burst: "k" }, 1, { burst: { limit: 5, rate: perMinute(5) } }));
  });

  it("may have the limits of a whole plan, also where not all of them are asked", () => {
    const plan = { burst: 50, day: { limit: 20_000 }, tokens: { rate: perMinute(5_000) } };
    const { decisions } = limits.take({ burst: "planned" }, 1, plan);
    expect(decisions).toMatchObject({ burst: { limit: 50 } });
    expect(Object.keys(decisions)).toEqual(["burst"]);
    expect(limits.peek({ day: "planned" }, 1, plan).decisions.day.limit).toBe(20_000);
  });

  it("is settled only where it was asked", () => {
    const taken = limits.take({ burst: "k", day: "k" });
    // @ts-expect-error: a limit that wasn't asked
    refuses("INVALID_OPTION", () => taken.settle({ tokens: 1 }));
    // @ts-expect-error: the same beside a right one
    refuses("INVALID_OPTION", () => taken.settle({ burst: 1, tokens: 1 }));
    // @ts-expect-error: nothing to settle it to
    refuses("INVALID_OPTION", () => taken.settle());
  });

  it("is any limit, by one key for all, or by the names", () => {
    const names = expectTypeOf<Names>();
    const all = limits.take("k", { tokens: 5 }, { burst: 20, day: { rate: perMinute(5) }, tokens: { limit: 5 } });
    names.toEqualTypeOf<keyof (typeof all)["decisions"]>();
    expect(Object.keys(all.decisions)).toEqual(["burst", "day", "tokens"]);
    const loose: Record<string, { limit: number; windowMs: number }> = { burst: definitions.burst };
    expect(createLimits(createLocalProvider(), loose).take({ burst: "k" }).allowed).toBe(true);
  });
});

describe("a definition", () => {
  const provider = createLocalProvider();

  it("has a limit or a rate, a window, and nothing else", () => {
    // @ts-expect-error: neither
    refuses("INVALID_OPTION", () => createLimits(provider, { a: { windowMs: 5 } }));
    // @ts-expect-error: both
    refuses("INVALID_OPTION", () => createLimits(provider, { a: { limit: 5, rate: perMinute(5), windowMs: 60_000 } }));
    // @ts-expect-error: a number without a unit
    refuses("INVALID_RATE", () => createLimits(provider, { a: { rate: -5, windowMs: 5 } }));
    // @ts-expect-error: no window
    refuses("INVALID_OPTION", () => createLimits(provider, { a: { limit: 5 } }));
    // @ts-expect-error: a misspelt option
    refuses("INVALID_OPTION", () => createLimits(provider, { a: { limit: 5, windowMs: 5, blockMS: 5 } }));
  });

  it("is there at least once", () => {
    // @ts-expect-error: no limit
    refuses("INVALID_OPTION", () => createLimits(provider, {}));
  });

  it("has a strategy that there is, and a block only where denials can begin one", () => {
    const limit = { limit: 5, windowMs: 5 };
    // @ts-expect-error: no such strategy
    refuses("INVALID_OPTION", () => createLimits(provider, { a: { ...limit, strategy: "fixed" } }));
    // @ts-expect-error: a suppressed limit with a block
    refuses("INVALID_OPTION", () => createLimits(provider, { a: { ...limit, strategy: "suppressed", blockMs: 5 } }));
    // @ts-expect-error: no provider
    refuses("INVALID_OPTION", () => createLimits({}, { a: limit }));
  });
});

describe("an answer", () => {
  it("of Local is a value", () => {
    const taken = limits.take({ burst: "k", day: "k" });
    expectTypeOf(taken.allowed).toEqualTypeOf<boolean>();
    expectTypeOf(taken.retryAfterMs).toEqualTypeOf<number>();
    expectTypeOf(taken.refund()).toEqualTypeOf<void>();
    expectTypeOf(taken.settle(1)).toEqualTypeOf<void>();
    expectTypeOf(limits.peek("k").allowed).toEqualTypeOf<boolean>();
    expect(taken).not.toHaveProperty("then");
  });

  it("of Redis is a promise, whatever the answer, and rejects where an argument is wrong", async () => {
    const redis = createLimits(createRedisProvider(client, { onFailure: "deny" }), definitions);
    const answer = redis.take({ burst: "k" });
    expectTypeOf(answer).toEqualTypeOf<Promise<Awaited<typeof answer>>>();
    expectTypeOf(redis.peek("k")).toExtend<Promise<{ allowed: boolean }>>();
    expect(redis.peek("k")).toBeInstanceOf(Promise);
    const taken = await answer;
    expectTypeOf(taken.refund()).toEqualTypeOf<Promise<void>>();
    expectTypeOf(taken.settle(1)).toEqualTypeOf<Promise<void>>();
    expect([taken.refund(), taken.settle(1)]).toEqual([expect.any(Promise), expect.any(Promise)]);
    const invalid = { name: "TrypemaError", code: "INVALID_COUNT" };
    await expect(redis.take("k", -1)).rejects.toMatchObject(invalid);
    await expect(redis.peek("k", -1)).rejects.toMatchObject(invalid);
    await expect(taken.settle(-1)).rejects.toMatchObject(invalid);
  });

  it("of Hybrid, or of a provider of any kind, is either", async () => {
    const provider = createHybridProvider(client, { onFailure: "deny" });
    const hybrid = createLimits(provider, definitions);
    const answer = hybrid.take({ burst: "k" });
    expectTypeOf(answer).toEqualTypeOf<Awaitable<Awaited<typeof answer>>>();
    const taken = await answer;
    expectTypeOf(taken.refund()).toEqualTypeOf<Awaitable<void>>();
    const any = createLimits(provider as Provider, definitions).take({ burst: "k" });
    expectTypeOf(any).toEqualTypeOf<Awaitable<Awaited<typeof any>>>();
    expect((await any).allowed).toBe(false);
    await provider.close();
  });

  it("names one of the limits that were asked where the call is denied, and nobody where it is allowed", () => {
    const taken = limits.take({ burst: "k", day: "k" }, { burst: 11 });
    expectTypeOf(taken.deniedBy).toEqualTypeOf<"burst" | "day" | undefined>();
    if (taken.allowed) {
      expectTypeOf(taken.deniedBy).toEqualTypeOf<undefined>();
    } else {
      expectTypeOf(taken.deniedBy).toEqualTypeOf<"burst" | "day">();
    }
    const { allowed, deniedBy } = limits.take("k", { burst: 11 });
    if (!allowed) expectTypeOf(deniedBy).toEqualTypeOf<Names>();
    expect([taken.deniedBy, deniedBy]).toEqual(["burst", "burst"]);
  });

  it("has decisions about the limits that were asked, and no others", () => {
    const { decisions } = limits.take({ burst: "k", day: "k" });
    expectTypeOf(decisions.burst).toEqualTypeOf<Decision>();
    // @ts-expect-error: it wasn't asked
    expect(decisions.tokens).toBe(undefined);
  });

  it("gives the limiter of one limit, of the provider's kind", () => {
    expectTypeOf(limits.limiter("burst").get("k").total).toEqualTypeOf<number>();
    expect(limits.limiter("tokens").get("unseen").total).toBe(0);
  });
});
