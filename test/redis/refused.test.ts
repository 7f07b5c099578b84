// What providers decide and count while the breaker refuses calls: nothing is sent then.

import { type ProviderEvent, perMinute } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { type CommandClient, createRedisProvider, type RedisOptions } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { afterEach, expect, it, vi } from "vitest";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A client that fails at once while Redis is away, and counts what it is given to send. */
class Sender implements CommandClient {
  sent = 0;
  isAway = true;

  async sendCommand(args: string[]): Promise<unknown> {
    this.sent++;
    if (this.isAway) throw new Error("away");
    return redis.client.call(args[0]!, ...args.slice(1));
  }
}

const KINDS = { redis: createRedisProvider, hybrid: createHybridProvider };

let providers = 0;

/** A provider whose breaker is open. Time stands still, so no call becomes a probe until `later`. */
async function refusing<Kind extends keyof typeof KINDS>(kind: Kind, options: RedisOptions) {
  const now = performance.now();
  const clock = vi.spyOn(performance, "now").mockReturnValue(now);
  const sender = new Sender();
  const prefix = `refused-${providers++}`;
  const open = KINDS[kind] as (client: CommandClient, options: RedisOptions) => ReturnType<(typeof KINDS)[Kind]>;
  const provider = open(sender, { prefix, timeoutMs: 30_000, onEvent: false, ...options });
  const inc = async (key: string) => provider.absolute.inc(key, perMinute(100));
  for (let i = 0; i < 5; i++) await inc(`other-${i}`).catch(() => {});
  expect(provider.stats().isBreakerOpen).toBe(true);
  const later = () => clock.mockReturnValue(now + 1_000);
  return { provider, sender, later };
}

it.each([
  ["local", [true, true, false]],
  ["allow", [true, true, true]],
  ["deny", [false, false, false]],
] as const)("Hybrid: tryInc decides by the failure policy while calls are refused (%s)", async (onFailure, allowed) => {
  const { provider, sender, later } = await refusing("hybrid", { onFailure });
  const { sent } = sender;
  const before = provider.stats().limits[0]!.degraded;
  const decisions = allowed.map(() => provider.absolute.tryInc("k", perMinute(2)));
  expect(decisions.map((decision) => decision?.allowed)).toEqual(allowed);
  expect(decisions.map((decision) => decision?.degraded)).toEqual([true, true, true]);
  expect(provider.stats().limits[0]!.degraded).toBe(before + 3);
  expect(sender.sent).toBe(sent);
  sender.isAway = false;
  later();
  // Each admission is counted once when Redis is back.
  expect((await provider.absolute.get("k")).accepted).toBe(allowed.filter(Boolean).length);
  await provider.close();
});

it("Hybrid: tryInc is undefined in an outage where the failure policy is to throw", async () => {
  const { provider, sender } = await refusing("hybrid", { onFailure: "throw" });
  const { sent } = sender;
  expect(provider.absolute.tryInc("k", perMinute(2))).toBeUndefined();
  expect(sender.sent).toBe(sent);
  await provider.close();
});

it.each(["redis", "hybrid"] as const)("%s: what is refused counts as no script and no report", async (kind) => {
  const { provider, sender, later } = await refusing(kind, { onFailure: "local" });
  for (let i = 0; i < 3; i++) await provider.absolute.inc("k", perMinute(100));
  const { sent } = sender;
  const before = provider.stats();
  for (let i = 0; i < 20; i++) await provider.absolute.get("k");
  expect(provider.stats()).toEqual(before);
  expect(sender.sent).toBe(sent);
  expect(before.scripts).toBe(sent);
  sender.isAway = false;
  later();
  const usage = await provider.absolute.get("k");
  // Only Hybrid reports what the failure policy has admitted.
  if (kind === "hybrid") {
    expect(usage.accepted).toBe(3);
    expect(provider.stats()).toMatchObject({ reported: 3 });
  }
  await provider.close();
});

it("calls on a key that holds something else count as failures, and open no breaker", async () => {
  const prefix = `refused-${providers++}`;
  const provider = createRedisProvider(redis.client, { prefix, timeoutMs: 30_000, batch: false });
  await provider.absolute.inc("k", perMinute(100));
  for (const key of await redis.client.keys(`${prefix}*`)) await redis.client.set(key, "something else");
  for (let i = 0; i < 7; i++) {
    await expect(provider.absolute.inc("k", perMinute(100))).rejects.toMatchObject({ code: "BACKEND_SCRIPT" });
  }
  expect(provider.stats()).toMatchObject({ failures: 7, failed: 7, isBreakerOpen: false, breakerOpenings: 0 });
});

it.each(["redis", "hybrid"] as const)(
  "%s: the Local provider that stands in tells nobody of its sweeps",
  async (kind) => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
    const events: ProviderEvent[] = [];
    const clock = manualClock();
    const onEvent = (event: ProviderEvent) => events.push(event);
    const { provider } = await refusing(kind, { onFailure: "local", clock, windowMs: 1_000, onEvent });
    await provider.absolute.inc("k", perMinute(100));
    clock.advance(60_000);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(events.map(({ type }) => type)).toContain("degraded");
    expect(events.map(({ type }) => type)).not.toContain("swept");
    await provider.close();
  },
);
