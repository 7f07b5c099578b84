// What the conformance suite leaves out, for it drives time itself: the package with the clock, the timers and
// the chance of the runtime it is in.

import { createLocalProvider, perSecond, TrypemaError } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { describe, expect, it } from "vitest";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("smoke", () => {
  it("admits the capacity, rejects the rest, and admits again when the window has passed", async () => {
    const { absolute } = createLocalProvider({ windowMs: 1_000 });
    const decisions = Array.from({ length: 5 }, () => absolute.inc("key", perSecond(3)));
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false]);
    expect(decisions[4]!.retryAfterMs).toBeLessThanOrEqual(1_000);
    for (let tries = 0; !absolute.inc("key", perSecond(3)).allowed; tries++) {
      expect(tries).toBeLessThan(1_000);
      await sleep(5);
    }
  });

  it("suppresses a share of an overload by the runtime's own chance", () => {
    const clock = manualClock();
    const { suppressed } = createLocalProvider({ windowMs: 1_000, hardLimitFactor: 10, clock });
    let admitted = 0;
    for (let call = 0; call < 20_000; call++) {
      clock.advance(0.25);
      if (suppressed.inc("key", perSecond(1_000)).allowed) admitted++;
    }
    // 5 s at four times the limit, after a burst of a window's worth; chance has a deviation of about 60.
    expect(Math.abs(admitted - 6_000)).toBeLessThan(1_000);
  });

  it("sweeps stale keys in the background", async () => {
    const limiter = createLocalProvider({ windowMs: 20, cleanup: { intervalMs: 10 } });
    limiter.absolute.inc("key", perSecond(100));
    await sleep(100);
    expect(limiter.absolute.get("key").total).toBe(0);
    limiter.close();
  });

  it("holds a Redis that hangs to the deadline", async () => {
    const hang = () => new Promise<never>(() => {});
    const { absolute } = createRedisProvider({ sendCommand: hang }, { timeoutMs: 20 });
    const failure = await absolute.inc("key", perSecond(5)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(TrypemaError);
    expect(failure).toMatchObject({ code: "BACKEND_TIMEOUT" });
  });

  it("decides with Hybrid though Redis hangs", async () => {
    const hang = () => new Promise<never>(() => {});
    const provider = createHybridProvider({ sendCommand: hang }, { timeoutMs: 20 });
    // A real client's connection keeps a program alive; our timers don't.
    const alive = setInterval(() => {}, 1_000);
    const decisions = [];
    for (let call = 0; call < 7; call++) decisions.push(await provider.absolute.inc("key", perSecond(0.1)));
    expect(decisions.map(({ allowed }) => allowed)).toEqual([true, true, true, true, true, true, false]);
    expect(decisions.every(({ degraded }) => degraded)).toBe(true);
    await provider.close();
    clearInterval(alive);
  });
});
