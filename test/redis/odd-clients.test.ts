// Clients that do what no client should: a mock, a wrapper, an instrumentation may.

import { type ProviderEvent, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisClient } from "trypema/redis";
import { expect, it } from "vitest";
import { failureOf } from "../support/failing.ts";

const RATE = perSecond(5);
const AWAY = "BACKEND_UNAVAILABLE";
const OPTIONS = { windowMs: 1_000, timeoutMs: 5_000 };

const hostile = new Error();
Object.defineProperty(hostile, "message", {
  get() {
    throw new Error("no text");
  },
});
const reasons = [undefined, null, 0, "away", Symbol("s"), {}, Object.create(null), hostile, new Proxy({}, proxyOf())];

function proxyOf(): ProxyHandler<object> {
  const fail = () => {
    throw new Error("no");
  };
  return { get: fail, getPrototypeOf: fail, has: fail };
}

/** A client whose every method does so. */
function clientThat(act: () => unknown): RedisClient {
  return { sendCommand: act } as RedisClient;
}

it.each([
  ["rejects with", (reason: unknown) => Promise.reject(reason)],
  [
    "throws",
    (reason: unknown) => {
      throw reason;
    },
  ],
])("a client that %s whatever it likes is unavailable, and every call is settled", async (_, act) => {
  for (const reason of reasons) {
    const { absolute, suppressed } = createRedisProvider(
      clientThat(() => act(reason)),
      OPTIONS,
    );
    const calls = [absolute.inc("k", RATE), suppressed.inc("k", RATE), absolute.get("k"), absolute.clear()];
    for (const failure of await Promise.all(calls.map(failureOf))) {
      expect(failure.code).toBe(AWAY);
      expect(failure.message).toMatch(/^Redis: /);
      expect(Object.is(failure.cause, reason)).toBe(true);
    }
    const hybrid = createHybridProvider(
      clientThat(() => act(reason)),
      OPTIONS,
    );
    expect(await hybrid.absolute.inc("k", RATE)).toMatchObject({ allowed: true, degraded: true });
    await hybrid.close();
  }
});

it("a client that fails with whatever it likes opens the breaker, and a listener is told of it", async () => {
  for (const reason of reasons) {
    const told: ProviderEvent[] = [];
    const { absolute } = createRedisProvider(
      clientThat(() => Promise.reject(reason)),
      { ...OPTIONS, onEvent: (event) => told.push(event) },
    );
    for (let call = 0; call < 6; call++) expect((await failureOf(absolute.inc("k", RATE))).code).toBe(AWAY);
    await Promise.resolve();
    expect(told).toContainEqual({ type: "breaker-opened", code: AWAY, reason: "" });
  }
});

it("a client that answers with values, not promises, is one all the same", async () => {
  const { absolute } = createRedisProvider(
    clientThat(() => 2_001),
    OPTIONS,
  );
  expect(await absolute.inc("k", RATE)).toMatchObject({ allowed: true, remaining: 4, degraded: false });
  expect((await failureOf(absolute.get("k"))).code).toBe("BACKEND_SCRIPT");
});
