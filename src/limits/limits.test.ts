// What may be asked of several limits, what each mistake says, and that nothing is counted by a mistake.

import { createLimits, createLocalProvider, type LimitDefinition, perMinute } from "trypema";
import { manualClock } from "trypema/testing";
import { beforeEach, describe, expect, it } from "vitest";

const clock = manualClock(1_000_000);

const DEFINITIONS = {
  burst: { limit: 3, windowMs: 1_000 },
  day: { limit: 5, windowMs: 60_000 },
  tokens: { limit: 100, windowMs: 10_000, strategy: "suppressed" },
} as const;

function open() {
  return createLimits(createLocalProvider({ clock, random: () => 0.999 }), DEFINITIONS);
}

let limits: ReturnType<typeof open>;

beforeEach(() => {
  limits = open();
});

/** What each limit has counted for a key. */
function totals(key = "k"): number[] {
  return (["burst", "day", "tokens"] as const).map((name) => limits.limiter(name).get(key).total);
}

type Unchecked = (...args: unknown[]) => unknown;

function refuses(call: () => unknown, code: string, message: RegExp): void {
  expect(call).toThrow(
    expect.objectContaining({ name: "TrypemaError", code, message: expect.stringMatching(message) }),
  );
}

describe("limits", () => {
  it.each([
    [{}, /^limits: got none, expected at least one limit by its name \(node_modules/],
    [undefined, /^limits: got undefined, expected an object \(node_modules/],
    [null, /^limits: got null/],
    [[{ limit: 5, windowMs: 10 }], /^limits: got an array/],
    [{ burst: undefined }, /^limit "burst": got undefined/],
    [{ "a b": { limit: 5, windowMs: 10 } }, /^limit "a b": a name has/],
  ])("can't be %j", (definitions, message) => {
    refuses(() => createLimits(createLocalProvider(), definitions as never), "INVALID_OPTION", message);
  });

  it.each([undefined, null, 5, {}, createLocalProvider().absolute])(
    "need a provider of this package, not %s",
    (other) => {
      refuses(
        () => createLimits(other as never, DEFINITIONS),
        "INVALID_OPTION",
        /^provider: got .*, expected a provider/,
      );
    },
  );

  it("count a key apart by their names, and not by where they were defined", () => {
    const provider = createLocalProvider({ clock });
    const limit: LimitDefinition = { limit: 5, windowMs: 1_000 };
    createLimits(provider, { one: limit }).take("k", 2);
    const same = createLimits(provider.withWindow({ windowMs: 7 }), { one: limit, two: limit });
    expect([same.limiter("one").get("k").total, same.limiter("two").get("k").total]).toEqual([2, 0]);
    expect(provider.withWindow({ windowMs: 1_000 }).absolute.get("k").total).toBe(0);
  });
});

describe("a take", () => {
  it("is counted by all limits, each for its key, or by none", () => {
    expect(limits.take({ burst: "k", day: "other" }, { burst: 2 })).toMatchObject({
      allowed: true,
      deniedBy: undefined,
      retryAfterMs: 0,
      decisions: { burst: { remaining: 1 }, day: { remaining: 4 } },
    });
    expect([totals("k"), totals("other")]).toEqual([
      [2, 0, 0],
      [0, 1, 0],
    ]);
    const denied = limits.take({ burst: "k", day: "other" }, { burst: 2 });
    expect(denied).toMatchObject({ allowed: false, deniedBy: "burst", decisions: { day: { remaining: 4 } } });
    expect([totals("k"), totals("other")]).toEqual([
      [2, 0, 0],
      [0, 1, 0],
    ]);
  });

  it("that is denied is counted as declined by a suppressed limit", () => {
    limits.take("k", { burst: 3, tokens: 10 });
    expect(limits.take("k", { burst: 1, tokens: 10 })).toMatchObject({ allowed: false, deniedBy: "burst" });
    expect(limits.limiter("tokens").get("k")).toMatchObject({ total: 20, declined: 10 });
    expect(limits.limiter("day").get("k").total).toBe(1);
  });

  it("is denied by the limit that makes the caller wait longest", () => {
    limits.take({ burst: "k" }, 3);
    clock.advance(100);
    limits.take({ day: "k" }, 5);
    const both = limits.take({ burst: "k", day: "k" });
    expect(both).toMatchObject({ allowed: false, deniedBy: "day", retryAfterMs: 60_000 });
    expect(limits.take({ day: "k", burst: "k" })).toMatchObject({ deniedBy: "day", retryAfterMs: 60_000 });
    expect(both.decisions.burst.retryAfterMs).toBe(900);
    const never = limits.take({ burst: "k", day: "k" }, { burst: 4 });
    expect(never).toMatchObject({ deniedBy: "burst", retryAfterMs: Number.POSITIVE_INFINITY });
  });

  it("of 0 asks for 1 and counts nothing, not even a denial", () => {
    const blocking = createLimits(createLocalProvider({ clock }), {
      login: { limit: 2, windowMs: 1_000, blockMs: 5_000 },
    });
    expect(blocking.take("k", 0)).toMatchObject({ allowed: true, decisions: { login: { remaining: 2 } } });
    blocking.take("k", 2);
    expect(blocking.take("k", 0)).toMatchObject({ allowed: false, retryAfterMs: 1_000 });
    expect(blocking.limiter("login").get("k").total).toBe(2);
    clock.advance(1_000);
    expect(blocking.take("k", 0).allowed).toBe(true);
  });

  it("has other limits for one call, and the limits' own again for the next one", () => {
    expect(limits.take({ burst: "k" }, 10, { burst: 12 })).toMatchObject({
      allowed: true,
      decisions: { burst: { limit: 12, remaining: 2 } },
    });
    expect(limits.take({ burst: "k" }, 1, { burst: { rate: perMinute(600) } }).allowed).toBe(false);
    expect(limits.take({ burst: "k" }).decisions.burst.limit).toBe(3);
    expect(limits.take({ burst: "k" }, undefined, { burst: 12 }).decisions.burst).toMatchObject({
      limit: 12,
      remaining: 1,
    });
    expect(limits.take({ burst: "k" }, undefined, undefined).decisions.burst.limit).toBe(3);
  });

  it("whose denial blocks rejects its key from then on for that long, and no other key or limit", () => {
    const blocking = createLimits(createLocalProvider({ clock }), {
      login: { limit: 2, windowMs: 1_000, blockMs: 5_000 },
      day: { limit: 100, windowMs: 60_000 },
    });
    blocking.take("k", 2);
    expect(blocking.take("k")).toMatchObject({ allowed: false, deniedBy: "login", retryAfterMs: 5_000 });
    clock.advance(4_999);
    expect(blocking.take("k")).toMatchObject({ allowed: false, retryAfterMs: 1 });
    expect([blocking.take("other").allowed, blocking.take({ day: "k" }).allowed]).toEqual([true, true]);
    clock.advance(1);
    expect(blocking.take("k").allowed).toBe(true);
    blocking.limiter("login").block("k", 50);
    expect(blocking.take("k")).toMatchObject({ allowed: false, decisions: { login: { blocked: true } } });
    blocking.limiter("login").unblock("k");
    expect(blocking.take("k").allowed).toBe(true);
  });

  it.each<[unknown[], string, RegExp]>([
    [[undefined], "INVALID_KEY", /^keys: got undefined, expected a key or an object of keys by limit \(node_modules/],
    [[null], "INVALID_KEY", /^keys: got null/],
    [[5], "INVALID_KEY", /^keys: got 5/],
    [[{}], "INVALID_KEY", /^keys: got none, expected at least one limit with its key \(node_modules/],
    [[[]], "INVALID_KEY", /^keys: got none/],
    [[""], "INVALID_KEY", /^key: got an empty string/],
    [["x".repeat(256)], "INVALID_KEY", /at most 255 bytes/],
    [[{ burst: "k", day: "" }], "INVALID_KEY", /^key: got an empty string/],
    [[{ burst: "k", day: undefined }], "INVALID_KEY", /^key: got undefined/],
    [[{ burst: "k", day: ["k"] }], "INVALID_KEY", /^key: got an array/],
    [
      [{ burst: "k", wrong: "k" }],
      "INVALID_OPTION",
      /^limit "wrong": no limit has this name; there are burst, day, tok/,
    ],
    [[{ burst: "k", toString: "k" }], "INVALID_OPTION", /^limit "toString": no limit has this name/],
    [[["k", "k"]], "INVALID_OPTION", /^limit "0": no limit has this name/],
    ...[-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53].map((count): [unknown[], string, RegExp] => [
      ["k", count],
      "INVALID_COUNT",
      /^counts\.burst: got .*, expected 0 or a p/,
    ]),
    [["k", "1"], "INVALID_OPTION", /^counts: got "1", expected a number, or an object of the limits/],
    [["k", null], "INVALID_OPTION", /^counts: got null, expected a number, or an object of the limits that were asked/],
    [["k", { tokens: -1 }], "INVALID_COUNT", /^counts\.tokens: got -1/],
    [["k", { tokens: null }], "INVALID_COUNT", /^counts\.tokens: got null/],
    [
      ["k", { wrong: 1 }],
      "INVALID_OPTION",
      /^counts\.wrong is not an option; there are burst, day, tokens \(node_modules/,
    ],
    [
      [{ burst: "k" }, { burst: 1, day: 1 }],
      "INVALID_OPTION",
      /^counts\.day is not an option; there are burst \(node_modules/,
    ],
    [["k", 1, 5], "INVALID_OPTION", /^overrides: got 5/],
    [["k", 1, null], "INVALID_OPTION", /^overrides: got null/],
    [["k", 1, { wrong: 5 }], "INVALID_OPTION", /^overrides\.wrong is not an option/],
    [[{ burst: "k" }, 1, { wrong: 5 }], "INVALID_OPTION", /^overrides\.wrong is not an option; there are burst, day/],
    [["k", 1, { burst: 5, tokens: 0 }], "INVALID_OPTION", /^overrides\.tokens\.limit: got 0/],
    [["k", 1, { tokens: { rate: 0 } }], "INVALID_RATE", /^rate: got 0/],
    [["k", 1, { burst: { rate: perMinute(1) } }], "CAPACITY_BELOW_ONE", /at least 60000/],
  ])("of %j is refused, and nothing is counted", (args, code, message) => {
    limits.take("k");
    refuses(() => (limits.take as Unchecked).call(limits, ...args), code, message);
    refuses(() => (limits.peek as Unchecked).call(limits, ...args), code, message);
    expect(totals()).toEqual([1, 1, 1]);
    expect(limits.limiter("burst").get("k").limit).toBe(3);
  });

  it.each(["wrong", "", "__proto__", "constructor", undefined])("has no limiter called %s", (name) => {
    refuses(() => limits.limiter(name as never), "INVALID_OPTION", /^limit .*: no limit has this name/);
  });

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])("may have %s as a limit and as a key", (name) => {
    // As `JSON.parse` makes it, for a literal with `__proto__` would set the prototype.
    const named = <T>(value: T): Record<string, T> => JSON.parse(`{ "${name}": ${JSON.stringify(value)} }`);
    const odd = createLimits(createLocalProvider({ clock }), named(DEFINITIONS.day));
    const taken = odd.take(named(name), {}, {});
    expect(Object.entries(taken.decisions)).toEqual([[name, expect.objectContaining({ allowed: true, remaining: 4 })]]);
    taken.settle({});
    taken.settle(named(3));
    expect(odd.limiter(name).get(name).total).toBe(3);
    expect(odd.take(named(name), named(1), named(4)).allowed).toBe(true);
    expect(odd.take(named(name)).allowed).toBe(true);
    expect(odd.take(named(name))).toMatchObject({ allowed: false, deniedBy: name });
    expect(odd.limiter(name).get("other").total).toBe(0);
    expect("limit" in {}).toBe(false);
  });
});

describe("a peek", () => {
  it("says what a take then says, and counts nothing", () => {
    limits.take("k", { burst: 1, day: 3 });
    const cases: Parameters<typeof limits.take>[] = [
      ["k", { burst: 0, day: 0 }],
      ["k", { burst: 3, day: 2 }],
      ["k", { burst: 2 }],
      ["k", { day: 1, burst: 0 }],
      ["k", { day: 1, burst: 0 }],
      ["k", 1],
    ];
    for (const [, counts] of cases) {
      const before = totals();
      const asked = { burst: "k", day: "k" };
      const foreseen = limits.peek(asked, counts as object);
      expect(totals()).toEqual(before);
      const { allowed, deniedBy, retryAfterMs, decisions } = limits.take(asked, counts as object);
      expect(foreseen).toMatchObject({ allowed, deniedBy, retryAfterMs, decisions });
    }
  });

  it("shows an unused limit as unused where another one denies, and says so of a limit that is none", () => {
    const open = createLimits(createLocalProvider({ clock }), {
      burst: { limit: 3, windowMs: 1_000 },
      all: { rate: Number.POSITIVE_INFINITY as never, windowMs: 1_000 },
    });
    for (const answer of [open.peek("k", { burst: 4 }), open.take("k", { burst: 4 })]) {
      expect(answer.decisions.all).toMatchObject({ allowed: true, remaining: Number.POSITIVE_INFINITY });
    }
    expect(limits.peek("k", { burst: 4 }).decisions.day).toMatchObject({ remaining: 5, moreAfterMs: 0 });
  });

  it("blocks nobody", () => {
    const blocking = createLimits(createLocalProvider({ clock }), {
      login: { limit: 2, windowMs: 1_000, blockMs: 5_000 },
    });
    blocking.take("k", 2);
    expect(blocking.peek("k")).toMatchObject({ allowed: false, retryAfterMs: 1_000 });
    clock.advance(1_000);
    expect(blocking.peek("k").allowed).toBe(true);
  });

  it("has nothing to give back or to settle", () => {
    limits.take("k", { tokens: 10 });
    const foreseen = limits.peek("k", { tokens: 5 });
    foreseen.refund();
    foreseen.settle({ tokens: 7 });
    expect(totals()).toEqual([1, 1, 10]);
  });
});
