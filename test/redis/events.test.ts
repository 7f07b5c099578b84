// What providers tell of a real Redis that is killed, hangs and comes back.

import { Redis } from "ioredis";
import { type ProviderEvent, perMinute } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisOptions } from "trypema/redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { runScript } from "../support/built.ts";
import { startServer } from "../support/use-redis.ts";

function connect(port: number): Redis {
  const client = new Redis(port);
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

const KINDS = {
  redis: (client: Redis, options: RedisOptions) => createRedisProvider(client, options),
  hybrid: (client: Redis, options: RedisOptions) => createHybridProvider(client, options),
};

describe.each(Object.keys(KINDS) as (keyof typeof KINDS)[])("%s", (kind) => {
  it("tells that the breaker opens and closes, who decides meanwhile, and when that ends", async () => {
    const server = await startServer();
    const events: ProviderEvent[] = [];
    const provider = KINDS[kind](connect(server.port), {
      timeoutMs: 100,
      onFailure: "local",
      onEvent: (event) => events.push(event),
    });
    onTestFinished(() => provider.close());
    const types = () => new Set(events.map(({ type }) => type));
    let calls = 0;
    const call = async () => {
      // Another key each time, of which Hybrid has no lease.
      await provider.absolute.inc(`alice-${calls++}`, perMinute(100));
      return types();
    };
    for (let i = 0; i < 3; i++) await call();
    expect(types()).not.toContain("breaker-closed");
    await server.stop();
    await expect.poll(call).toContain("breaker-opened");
    expect(types()).toContain("degraded");
    expect(provider.stats()).toMatchObject({ isBreakerOpen: true });
    await startServer(server.port);
    await expect.poll(call).toContain("breaker-closed");
    const callsToldOf = (type: "degraded" | "recovered") =>
      events.reduce((total, event) => total + (event.type === type ? event.calls : 0), 0);
    // On a busy machine a call may miss its deadline before or after the outage, too, and that ends as well.
    await expect
      .poll(async () => {
        await call();
        return provider.stats().degraded - callsToldOf("recovered");
      })
      .toBe(0);
    const { degraded, limits, isBreakerOpen, failed } = provider.stats();
    expect({ isBreakerOpen, failed }).toEqual({ isBreakerOpen: false, failed: 0 });
    expect(degraded).toBeGreaterThan(0);
    expect(limits[0]?.degraded).toBe(degraded);
    expect(limits[0]?.allowed).toBe(calls);
    expect(callsToldOf("degraded")).toBe(degraded);
    expect(JSON.stringify(events)).not.toContain("alice");
  });

  it("tells of calls that a hung server doesn't answer", async () => {
    const server = await startServer();
    const events: ProviderEvent[] = [];
    const provider = KINDS[kind](connect(server.port), {
      timeoutMs: 50,
      onFailure: "deny",
      onEvent: (event) => events.push(event),
    });
    onTestFinished(() => provider.close());
    await provider.absolute.inc("k", perMinute(100));
    server.signal("SIGSTOP");
    await expect(provider.absolute.inc("other", perMinute(100))).resolves.toMatchObject({
      allowed: false,
      degraded: true,
    });
    await expect.poll(() => events.map(({ type }) => type)).toContain("timeout");
    expect(events).toContainEqual({ type: "degraded", policy: "deny", calls: 1, code: "BACKEND_TIMEOUT" });
    expect(provider.stats().timeouts).toBeGreaterThan(0);
    server.signal("SIGCONT");
  });
});

it("Hybrid tells of reports that got no answer", async () => {
  const server = await startServer();
  const events: ProviderEvent[] = [];
  const provider = createHybridProvider(connect(server.port), {
    timeoutMs: 50,
    onEvent: (event) => events.push(event),
  });
  onTestFinished(() => provider.close());
  for (let i = 0; i < 20; i++) await provider.absolute.inc("k", perMinute(1_000));
  await server.stop();
  await expect
    .poll(async () => {
      await provider.absolute.inc("k", perMinute(1_000));
      return events.map(({ type }) => type);
    })
    .toContain("reports-lost");
  const { reportsLost, unconfirmedKeys, oldestUnconfirmedMs } = provider.stats();
  expect(reportsLost).toBeGreaterThan(0);
  expect(unconfirmedKeys).toBe(1);
  expect(oldestUnconfirmedMs).toBeGreaterThanOrEqual(0);
});

it("listening keeps no process alive, with events that are still to be told", async () => {
  const { stdout } = await runScript(`
    import { createHybridProvider } from "trypema/hybrid";
    import { createLocalProvider, perMinute } from "trypema";
    const onEvent = ({ type }) => console.log(type);
    const fail = () => Promise.reject(new Error("away"));
    const provider = createHybridProvider({ sendCommand: fail }, { onEvent });
    for (let i = 0; i < 3; i++) await provider.absolute.inc("k" + i, perMinute(5));
    const local = createLocalProvider({ maxKeys: 2, onEvent });
    for (let i = 0; i < 20; i++) local.absolute.inc("k" + i, perMinute(50));
  `);
  expect(stdout.split("\n")).toEqual(expect.arrayContaining(["degraded", "evicted", "reports-lost"]));
});
