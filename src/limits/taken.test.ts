// What a take counted is given back, or corrected to what it really was, and never more than that.

import { createLimits, createLocalProvider } from "trypema";
import { createFakeRedisProvider, manualClock } from "trypema/testing";
import { beforeEach, describe, expect, it } from "vitest";

const DEFINITIONS = {
  burst: { limit: 3, windowMs: 1_000 },
  tokens: { limit: 100, windowMs: 10_000 },
} as const;

const clock = manualClock(1_000_000);

function open() {
  return createLimits(createLocalProvider({ clock }), DEFINITIONS);
}

let limits: ReturnType<typeof open>;

beforeEach(() => {
  limits = open();
});

function totals(key = "k"): number[] {
  return [limits.limiter("burst").get(key).total, limits.limiter("tokens").get(key).total];
}

describe("a refund", () => {
  it("gives back what was taken, once, and nothing of others", () => {
    limits.take("k", { tokens: 20 });
    const taken = limits.take("k", { tokens: 30 });
    expect(totals()).toEqual([2, 50]);
    taken.refund();
    expect(totals()).toEqual([1, 20]);
    taken.refund();
    expect(totals()).toEqual([1, 20]);
  });

  it("gives back to a limit whose window is still open, and nothing once the window has passed", () => {
    const taken = limits.take("k", { tokens: 30 });
    clock.advance(1_000);
    limits.take("k", { tokens: 5 });
    taken.refund();
    expect(totals()).toEqual([1, 5]);
    const late = limits.take("k", { tokens: 7 });
    clock.advance(10_000);
    limits.take("k", { tokens: 9 });
    late.refund();
    expect(totals()).toEqual([1, 9]);
    const last = limits.take("k", { tokens: 1 });
    clock.advance(999);
    last.refund();
    expect(totals()).toEqual([1, 9]);
  });

  it("of a take that was denied does nothing", () => {
    limits.take("k", 3);
    const denied = limits.take("k");
    denied.refund();
    denied.settle(0);
    denied.settle(9);
    expect(totals()).toEqual([3, 3]);
  });

  it("gives back what it was settled to", () => {
    const other = limits.take("k", { tokens: 10 });
    const taken = limits.take("k", { tokens: 10 });
    taken.settle({ tokens: 40 });
    taken.refund();
    expect(totals()).toEqual([1, 10]);
    other.refund();
    expect(totals()).toEqual([0, 0]);
  });
});

describe("a settlement", () => {
  it("corrects the count up and down, again and again, beyond the limit too", () => {
    limits.take("k", { tokens: 1 });
    const taken = limits.take("k", { tokens: 80 });
    taken.settle({ tokens: 65 });
    expect(totals()).toEqual([2, 66]);
    taken.settle({ tokens: 65 });
    expect(totals()).toEqual([2, 66]);
    taken.settle({ tokens: 150 });
    expect(totals()).toEqual([2, 151]);
    expect(limits.take("k").deniedBy).toBe("tokens");
    taken.settle({ tokens: 0 });
    expect(totals()).toEqual([2, 1]);
    taken.settle(2);
    expect(totals()).toEqual([3, 3]);
    taken.settle({});
    taken.settle({ tokens: undefined as never });
    expect(totals()).toEqual([3, 3]);
  });

  it("counts nothing once the window has passed", () => {
    const taken = limits.take("k", { tokens: 30 });
    clock.advance(1_000);
    taken.settle(2);
    expect(totals()).toEqual([0, 2]);
    clock.advance(10_000);
    taken.settle(50);
    expect(totals()).toEqual([0, 0]);
  });

  it("counts what was only asked about, whether the key has used anything or not, and gives no more back", () => {
    const first = limits.take("k", { tokens: 0 });
    expect(totals()).toEqual([1, 0]);
    first.settle({ tokens: 40 });
    expect(totals()).toEqual([1, 40]);
    const second = limits.take("k", { tokens: 0 });
    second.settle({ tokens: 50 });
    expect(totals()).toEqual([2, 90]);
    first.refund();
    expect(totals()).toEqual([1, 50]);
    second.refund();
    expect(totals()).toEqual([0, 0]);
  });

  it("on Redis counts what was only asked about, too", async () => {
    const shared = createLimits(createFakeRedisProvider({ clock }), DEFINITIONS);
    const taken = await shared.take("k", { tokens: 0 });
    await taken.settle({ tokens: 40 });
    expect((await shared.limiter("tokens").get("k")).total).toBe(40);
    await taken.refund();
    expect((await shared.limiter("tokens").get("k")).total).toBe(0);
  });

  it.each<[unknown, string, RegExp]>([
    [{ burst: 1, wrong: 1 }, "INVALID_OPTION", /^counts\.wrong is not an option; there are burst \(node_modules/],
    [{ burst: 0, tokens: 1 }, "INVALID_OPTION", /^counts\.tokens is not an option/],
    [
      undefined,
      "INVALID_OPTION",
      /^counts: got undefined, expected a number, or an object of the limits that were asked/,
    ],
    [null, "INVALID_OPTION", /^counts: got null/],
    ["5", "INVALID_OPTION", /^counts: got "5"/],
    [-1, "INVALID_COUNT", /^counts\.burst: got -1, expected 0 or a positive integer/],
    [{ burst: 0.5 }, "INVALID_COUNT", /^counts\.burst: got 0\.5/],
    [{ burst: null }, "INVALID_COUNT", /^counts\.burst: got null/],
  ])("to %j is refused, and nothing is corrected", (counts, code, message) => {
    const taken = limits.take({ burst: "k" }, 2);
    const call = () => taken.settle(counts as never);
    expect(call).toThrow(
      expect.objectContaining({ name: "TrypemaError", code, message: expect.stringMatching(message) }),
    );
    expect(totals()).toEqual([2, 0]);
  });
});

describe("while Redis is away", () => {
  it("gives back what the Local provider counted that decided instead, and nothing to Redis", async () => {
    const provider = createFakeRedisProvider({ clock, onFailure: "local" });
    const shared = createLimits(provider, DEFINITIONS);
    await shared.take("k", { tokens: 10 });
    provider.redis = "down";
    const degraded = await shared.take("k", { tokens: 100 });
    expect(degraded.decisions.tokens).toMatchObject({ allowed: true, degraded: true });
    expect((await shared.take("k")).deniedBy).toBe("tokens");
    await degraded.settle({ tokens: 99 });
    expect((await shared.take("k")).allowed).toBe(true);
    provider.redis = "up";
    await degraded.refund();
    expect((await shared.limiter("tokens").get("k")).total).toBe(10);
  });

  it("what a settlement could not correct is given back later only as far as it was counted for sure", async () => {
    const provider = createFakeRedisProvider({ clock });
    const shared = createLimits(provider, DEFINITIONS);
    const tokens = async () => (await shared.limiter("tokens").get("k")).total;
    await shared.take("k", { tokens: 20 });
    const grown = await shared.take("k", { tokens: 10 });
    const shrunk = await shared.take({ tokens: "k" }, { tokens: 10 });
    provider.redis = "down";
    await expect(grown.settle({ tokens: 30 })).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    await expect(shrunk.settle({ tokens: 4 })).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    provider.redis = "up";
    expect(await tokens()).toBe(40);
    await grown.refund();
    expect(await tokens()).toBe(30);
    await shrunk.refund();
    await shrunk.refund();
    expect(await tokens()).toBe(26);
  });

  it.each(["allow", "deny"] as const)("says so under %j, and corrects nothing later", async (onFailure) => {
    const provider = createFakeRedisProvider({ clock, onFailure });
    const shared = createLimits(provider, DEFINITIONS);
    provider.redis = "down";
    const taken = await shared.take("k");
    const allowed = onFailure === "allow";
    expect(taken).toMatchObject({ allowed, deniedBy: allowed ? undefined : "burst" });
    expect(taken.decisions.burst.degraded).toBe(true);
    provider.redis = "up";
    await shared.take("k", 2);
    await taken.refund();
    await taken.settle(9);
    expect((await shared.limiter("burst").get("k")).total).toBe(2);
  });
});
