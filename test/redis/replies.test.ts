// What answers that mean nothing do: those of a mock, a proxy, a pipeline, a key that holds something else. No real
// server gives them.

import { type Decision, perSecond, TrypemaError } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient } from "trypema/redis";
import { describe, expect, it } from "vitest";
import { failureOf } from "../support/failing.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const LIMIT = 5;
const RATE = perSecond(LIMIT);
const OPTIONS = { windowMs: 1_000, timeoutMs: 30_000, clock: () => 0, hardLimitFactor: 1 };

const NUMBERS = [Number.NaN, -1, 0.5, 2 ** 63, 1e300, Number.POSITIVE_INFINITY];
const TEXTS = ["", " ", "OK", "nan", "-nan", "inf", "-1", "1e300", "one"];
const SINGLE = [undefined, null, true, false, {}, Object.create(null), new Error("an error as a value"), Symbol("s")];
const LENGTHS = [0, 1, 2, 3, 4, 5, 11, 12, 13, 14, 15];

/** Answers that no script gives, whatever it is asked. */
const nonsense: unknown[] = [
  ...NUMBERS,
  ...TEXTS,
  ...SINGLE,
  () => 1,
  ...LENGTHS.flatMap((length) => [...NUMBERS, ...TEXTS, ...SINGLE].map((value) => Array(length).fill(value))),
  [1, 0, 0, 0, 0],
  [0, 0, 0, 0, 0],
  [0, 0, 0, 0],
  Array(12).fill(0),
  Array(14).fill(0),
  Array(14).fill(1),
];

/** What an admitted call is replied when `used` is taken and the oldest bucket is new. */
function admitted(used: number): number {
  return used * (OPTIONS.windowMs + 1) + OPTIONS.windowMs;
}

/** A client that answers so to everything. */
function clientOf(reply: () => unknown): RedisClient {
  return { sendCommand: async () => reply() };
}

describe.each(["absolute", "suppressed"] as const)("%s", (strategy) => {
  it("an answer that means nothing is an error to every method, which says what came", async () => {
    for (const reply of nonsense) {
      const limiter = createRedisProvider(
        clientOf(() => reply),
        OPTIONS,
      )[strategy];
      const calls = [
        () => limiter.inc("k", RATE),
        () => limiter.inc("k", RATE, LIMIT + 1),
        () => limiter.isAllowed("k"),
        () => limiter.isAllowed("k", 1, RATE),
        () => limiter.get("k"),
        () => limiter.adjust("k", 1),
        () => limiter.setIf("k", RATE, { op: "always" }, 1),
        () => limiter.delete("k"),
        () => limiter.clear(),
      ];
      for (const call of calls) {
        const failure = await failureOf(call());
        expect(failure).toMatchObject({ code: "BACKEND_SCRIPT", message: expect.stringMatching(/^Redis: got .*/) });
        expect(failure.cause).toBe(reply);
      }
    }
  });

  it.each(["allow", "deny", "local"] as const)(
    "onFailure %j decides where an answer means nothing",
    async (onFailure) => {
      for (const reply of nonsense) {
        const limiter = createRedisProvider(
          clientOf(() => reply),
          { ...OPTIONS, onFailure },
        )[strategy];
        const decisions: Decision[] = [];
        for (let call = 0; call < 2 * LIMIT; call++) decisions.push(await limiter.inc("k", RATE));
        expect(decisions.every(({ degraded }) => degraded)).toBe(true);
        const admitted = { allow: 2 * LIMIT, deny: 0, local: LIMIT }[onFailure];
        expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(admitted);
        expect(await limiter.isAllowed("k")).toMatchObject({ allowed: onFailure === "allow", degraded: true });
        if (onFailure === "local" && strategy === "absolute") expect(await limiter.adjust("k", -1)).toBe(LIMIT - 1);
      }
    },
  );

  it.each(["allow", "deny", "local", "throw"] as const)(
    "Hybrid under %j decides so too, and learns nothing",
    async (onFailure) => {
      for (const reply of nonsense) {
        const options = { ...OPTIONS, onFailure };
        const provider = createHybridProvider(
          clientOf(() => reply),
          options,
        );
        const limiter = provider[strategy];
        const calls = Array.from({ length: 2 * LIMIT }, async () => limiter.inc("k", RATE));
        if (onFailure === "throw") {
          for (const { code } of await Promise.all(calls.map(failureOf))) expect(code).toBe("BACKEND_SCRIPT");
        } else {
          const decisions = await Promise.all(calls);
          expect(decisions.every(({ degraded }) => degraded)).toBe(true);
          const admitted = { allow: 2 * LIMIT, deny: 0, local: LIMIT }[onFailure];
          expect(decisions.filter(({ allowed }) => allowed)).toHaveLength(admitted);
        }
        const setIf = limiter.setIf("k", RATE, { op: "always" }, 1).catch((error) => error);
        if (onFailure === "local") expect(await setIf).toMatchObject({ matched: true, currentTotal: 1 });
        else expect(await setIf).toMatchObject({ code: "BACKEND_SCRIPT" });
        await provider.close();
      }
    },
  );
});

it("an answer that means nothing opens no breaker: a key that holds something else fails its own calls only", async () => {
  let reply: unknown = "OK";
  const { absolute } = createRedisProvider(
    clientOf(() => reply),
    OPTIONS,
  );
  for (let call = 0; call < 20; call++) expect((await failureOf(absolute.inc("k", RATE))).code).toBe("BACKEND_SCRIPT");
  reply = admitted(1);
  expect(await absolute.inc("k", RATE)).toMatchObject({ allowed: true, remaining: LIMIT - 1, degraded: false });
});

it("numbers may come as text or bytes, as clients can be told", async () => {
  for (const encode of [Number, String, BigInt, (number: number) => Buffer.from(String(number))]) {
    const { absolute } = createRedisProvider({ sendCommand: async () => encode(admitted(2)) }, OPTIONS);
    expect(await absolute.inc("k", RATE)).toMatchObject({ allowed: true, remaining: LIMIT - 2, moreAfterMs: 1_000 });
    expect(await absolute.delete("k")).toBe(admitted(2));
  }
});

it("a clear whose pages have no end is none: the same cursor again is no answer", async () => {
  const sendCommand = async ([command, , , key]: string[]) => (command === "SCAN" ? ["5", []] : key);
  const { absolute } = createRedisProvider({ sendCommand }, OPTIONS);
  expect((await failureOf(absolute.clear())).code).toBe("BACKEND_SCRIPT");
});

it("a key of 64 bytes that another program has written is told from a state", async () => {
  await redis.client.set("trypema:a:1000:100:{:k}", "x".repeat(64));
  await redis.client.set("trypema:s:1000:100:{:k}", Buffer.alloc(128, 0xff));
  const { absolute, suppressed } = createRedisProvider(redis.client, { windowMs: 1_000, timeoutMs: 30_000 });
  expect((await failureOf(suppressed.inc("k", RATE))).code).toBe("BACKEND_SCRIPT");
  for (const limiter of [absolute, suppressed]) {
    const outcome = await limiter.get("k").catch((error) => error);
    if (!(outcome instanceof TrypemaError)) expect(outcome.total).toBe(0);
    else expect(outcome.code).toBe("BACKEND_SCRIPT");
  }
});

it("what Redis has counted of a report whose answer means nothing is counted once", async () => {
  let isGarbled = false;
  const sendCommand = async ([command, ...args]: string[]) => {
    const reply = await redis.client.call(command!, ...args);
    return isGarbled ? "OK" : reply;
  };
  const rate = perSecond(1_000);
  const hybrid = createHybridProvider({ sendCommand }, { windowMs: 60_000, timeoutMs: 30_000 });
  const exact = createRedisProvider(redis.client, { windowMs: 60_000, timeoutMs: 30_000 });
  await hybrid.absolute.inc("other", rate);
  isGarbled = true;
  const decisions = await Promise.all(Array.from({ length: 100 }, () => hybrid.absolute.inc("k", rate)));
  expect(decisions.filter(({ allowed, degraded }) => allowed && degraded)).toHaveLength(100);
  isGarbled = false;
  await hybrid.close();
  expect((await exact.absolute.get("k")).total).toBe(100);
});
