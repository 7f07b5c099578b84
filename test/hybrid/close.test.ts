// What close() promises, whatever goes on meanwhile and whatever the user's clock does.

import { setTimeout as sleep } from "node:timers/promises";
import { type Decision, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { beforeEach, expect, it } from "vitest";
import { runScript } from "../support/built.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const OPTIONS = { windowMs: 60_000, timeoutMs: 30_000 };
const RATE = perSecond(1_000);

beforeEach(async () => {
  await redis.client.flushall();
});

/** A client that answers each call some time after it was made. */
function slowClient() {
  const slow = { isConnected: true };
  return Object.assign(slow, {
    async sendCommand([command, ...args]: string[]) {
      await sleep(10);
      if (!slow.isConnected) throw new Error("Connection is closed.");
      return redis.client.call(command!, ...args);
    },
  });
}

it.each(["absolute", "suppressed"] as const)("%s: whoever waits is answered before it is closed", async (strategy) => {
  const client = slowClient();
  const provider = createHybridProvider(client, OPTIONS);
  const limiter = provider[strategy];
  const decisions: Decision[] = [];
  const call = async (rate = RATE) => decisions.push(await limiter.inc("k", rate));
  const calls = Array.from({ length: 5 }, () => call());
  // While the first exchange is on its way: with a rate of their own they need another one.
  await new Promise(setImmediate);
  calls.push(...Array.from({ length: 5 }, () => call(perSecond(2_000))));
  let total: number | undefined;
  const usage = limiter.get("k").then((answer) => {
    total = answer.total;
  });
  await provider.close();
  client.isConnected = false;
  expect(decisions).toHaveLength(10);
  expect(decisions.filter(({ allowed, degraded }) => allowed && !degraded)).toHaveLength(10);
  expect(total).toBeDefined();
  await Promise.all([...calls, usage]);
  const exact = createRedisProvider(redis.client, OPTIONS)[strategy];
  expect((await exact.get("k")).total).toBe(10);
  // Nothing is leased any longer.
  expect((await exact.isAllowed("k", 120_000 - 10)).allowed).toBe(true);
});

it("a clock that throws keeps nothing from being reported, and nobody from being answered", async () => {
  let isBroken = false;
  const clock = () => {
    if (isBroken) throw new Error("no time");
    return 5_000;
  };
  const provider = createHybridProvider(slowClient(), { ...OPTIONS, clock });
  for (let call = 0; call < 10; call++) await provider.absolute.inc("k", RATE);
  const waiting = [provider.absolute.inc("w", RATE), provider.absolute.inc("k", RATE, 10_000)];
  const outcomes = Promise.allSettled(waiting);
  isBroken = true;
  await provider.close();
  for (const outcome of await outcomes) {
    if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ message: "no time" });
  }
  isBroken = false;
  expect(
    (await createRedisProvider(redis.client, { ...OPTIONS, clock }).absolute.get("k")).total,
  ).toBeGreaterThanOrEqual(10);
});

it("a clock that throws harms no program from within its timers", async () => {
  const { stdout, stderr } = await runScript(`
    import { setTimeout as sleep } from "node:timers/promises";
    import { createLocalProvider, perSecond } from "trypema";
    import { createHybridProvider } from "trypema/hybrid";
    let isBroken = false;
    const clock = () => {
      if (isBroken) throw new Error("no time");
      return 0;
    };
    const hang = () => new Promise(() => {});
    const alive = setInterval(() => {}, 1_000);
    const local = createLocalProvider({ clock, cleanup: { intervalMs: 5 } });
    const hybrid = createHybridProvider({ sendCommand: hang }, { clock, timeoutMs: 5, onEvent: false });
    local.absolute.inc("k", perSecond(1));
    await hybrid.absolute.inc("k", perSecond(1));
    isBroken = true;
    // Many cleanups, rounds and sweeps.
    await sleep(500);
    await hybrid.close();
    local.close();
    clearInterval(alive);
    console.log("unharmed");
  `);
  expect(stdout).toBe("unharmed\n");
  expect(stderr).toBe("");
});
