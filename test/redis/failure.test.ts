// What a Redis that is away, hung or refusing does to callers: with real servers, real clients in their default
// settings, and real signals.

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { perHour, perSecond } from "trypema";
import type { CommandClient, RedisClient } from "trypema/redis";
import { createRedisProvider, type RedisOptions } from "trypema/redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { runScript } from "../support/built.ts";
import { failureOf, recovery, startCutter, stopClock } from "../support/failing.ts";
import { startServer } from "../support/use-redis.ts";

const RATE = perSecond(1);
/** For what may take a while: as many in a window that is over long after the test. */
const HOUR_MS = 3_600_000;
const HOURLY = perHour(60);
const TIMEOUT_MS = 100;
/** Longer than the breaker waits between probes. */
const LONGER_THAN_A_PROBE_MS = 600;

const POLICIES = ["throw", "allow", "deny", "local"] as const;

const BYTES_BETWEEN_ANSWERS = "loading-process-events-interval-bytes";
/** So many µs for each key, and then it answers. */
const LOADING_SLOWLY = ["--key-load-delay", "30000", `--${BYTES_BETWEEN_ANSWERS}`, "1024"];
/** Redis 6.2 has no such option, so it answers only after each 2 MB; nor can it be told to make haste. */
const LOADING_SLOWLY_BEFORE_7 = ["--key-load-delay", "2000"];

/** By default ioredis sends a call again that was unanswered when its connection broke; node-redis never does. */
const SENT_ONCE = { autoResendUnfulfilledCommands: false };

interface Settings {
  readonly password?: string;
  readonly autoResendUnfulfilledCommands?: boolean;
}

/** Clients as users make them; both keep on connecting, and queue meanwhile. */
const clients: Record<string, (port: number, settings?: Settings) => RedisClient> = {
  ioredis(port, settings) {
    const client = new Redis(port, { ...settings });
    client.on("error", () => {});
    onTestFinished(() => client.disconnect());
    return client;
  },

  "node-redis"(port, { password } = {}) {
    const client = createClient({ socket: { port }, ...(password === undefined ? {} : { password }) });
    client.on("error", () => {});
    client.connect().catch(() => {});
    onTestFinished(() => client.destroy());
    return client;
  },
};

function open(client: RedisClient, options: RedisOptions = {}) {
  const provider = createRedisProvider(client, { timeoutMs: TIMEOUT_MS, ...options });
  onTestFinished(() => provider.close());
  return provider;
}

describe.each(Object.keys(clients))("%s", (name) => {
  const connect = clients[name]!;

  it("a server that is killed fails calls in time, and counts again by itself when it is back", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port));
    expect((await recovery(() => absolute.inc("k", RATE))).allowed).toBe(true);
    await server.stop();
    for (let i = 0; i < 20; i++) expect((await failureOf(absolute.inc("k", RATE))).code).toMatch(/^BACKEND_/);
    await startServer(server.port);
    const decision = await recovery(() => absolute.inc("k", RATE));
    expect(decision).toMatchObject({ allowed: true, degraded: false });
  });

  it("a server that hangs holds nobody longer than the deadline, and what it counts afterwards it counts once", async () => {
    const server = await startServer();
    const client = connect(server.port);
    const { absolute } = open(client);
    const patient = open(client, { timeoutMs: 30_000 }).absolute;
    await patient.inc("k", RATE);
    const clock = stopClock();
    server.signal("SIGSTOP");
    const calls = Array.from({ length: 30 }, () => failureOf(absolute.inc("k", RATE)));
    for (const { code } of await Promise.all(calls)) expect(code).toBe("BACKEND_TIMEOUT");
    for (let i = 0; i < 10; i++) expect((await failureOf(absolute.inc("k", RATE))).code).toBe("BACKEND_UNAVAILABLE");
    clock.advance(LONGER_THAN_A_PROBE_MS);
    expect((await failureOf(absolute.inc("k", RATE))).code).toBe("BACKEND_TIMEOUT");
    server.signal("SIGCONT");
    await recovery(() => absolute.get("k"));
    await sleep(100);
    // Of those that were sent each was counted once, of the ten none was.
    expect((await patient.get("k")).total).toBe(1 + 30 + 1);
  });

  it("nothing grows while a server hangs, however many ask", async () => {
    const server = await startServer();
    const connection =
      name === "ioredis"
        ? `import { Redis } from "ioredis"; const client = new Redis(${server.port});`
        : `import { createClient } from "redis"; const client = createClient({ socket: { port: ${server.port} } });
           client.on("error", () => {}); await client.connect();`;
    const script = runScript(
      `
      import { perSecond } from "trypema";
      import { createRedisProvider } from "trypema/redis";
      ${connection}
      const { absolute } = createRedisProvider(client, { timeoutMs: 50, onFailure: "allow" });
      const rate = perSecond(1);
      const usedBytes = () => (gc(), process.memoryUsage().heapUsed);
      async function ask(times) {
        for (let i = 0; i < times; i++) if (!(await absolute.inc("key-" + (i % 1_000), rate)).allowed) throw new Error("denied");
      }
      await absolute.inc("key", rate);
      process.kill(${server.pid}, "SIGSTOP");
      await ask(20_000);
      const before = usedBytes();
      await ask(500_000);
      console.log(Math.round((usedBytes() - before) / 1024));
      process.exit();
      `,
      ["--expose-gc"],
    );
    const grownKiB = Number((await script).stdout);
    expect(grownKiB).toBeLessThan(1_024);
  });

  it("a call whose answer is lost with its connection was counted once", async () => {
    const server = await startServer();
    const cutter = await startCutter(server.port);
    onTestFinished(() => void cutter.close());
    const client = connect(cutter.port, SENT_ONCE);
    await open(client, { timeoutMs: 30_000 }).absolute.inc("k", RATE);
    const { absolute } = open(client, { timeoutMs: 1_000 });
    cutter.cutNextAnswer();
    expect((await failureOf(absolute.inc("k", RATE))).code).toMatch(/^BACKEND_(UNAVAILABLE|TIMEOUT)$/);
    const { total } = await recovery(() => absolute.get("k"));
    expect(total).toBe(1 + 1);
  });

  it("a server that isn't there yet poisons nothing", async () => {
    const reserved = await startServer();
    await reserved.stop();
    const { suppressed } = open(connect(reserved.port));
    for (let i = 0; i < 10; i++) await failureOf(suppressed.inc("k", RATE));
    await startServer(reserved.port);
    expect((await recovery(() => suppressed.inc("k", RATE))).allowed).toBe(true);
  });

  it("a server that forgets its scripts is told them again", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port), { timeoutMs: 10_000 });
    await absolute.inc("k", RATE);
    await flushScripts(server.port);
    expect((await absolute.inc("k", RATE)).remaining).toBe(58);
    await flushScripts(server.port);
    expect((await absolute.get("k")).total).toBe(2);
  });

  it("a server that wants a password is unavailable, and says why", async () => {
    const server = await startServer(undefined, "--requirepass", "secret");
    const timeoutMs = name === "ioredis" ? 30_000 : TIMEOUT_MS;
    const { code, message } = await failureOf(open(connect(server.port), { timeoutMs }).absolute.inc("k", RATE));
    expect(code).toMatch(/^BACKEND_(UNAVAILABLE|TIMEOUT)$/);
    if (name === "ioredis") expect(message).toMatch(/NOAUTH/);
  });

  it("a server that is given a wrong password is unavailable until the password is right", async () => {
    const server = await startServer();
    const admin = adminOf(server.port);
    await admin.ping();
    await admin.config("SET", "requirepass", "secret");
    const { absolute } = open(connect(server.port, { password: "wrong" }));
    for (let i = 0; i < 10; i++) {
      expect((await failureOf(absolute.inc("k", RATE))).code).toMatch(/^BACKEND_(UNAVAILABLE|TIMEOUT)$/);
    }
    await admin.config("SET", "requirepass", "wrong");
    expect((await recovery(() => absolute.inc("k", RATE))).allowed).toBe(true);
  });

  it("a server without memory is unavailable, and counts nothing", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port), { timeoutMs: 10_000 });
    await absolute.inc("k", RATE);
    const admin = adminOf(server.port);
    await admin.config("SET", "maxmemory", "1");
    expect(await failureOf(absolute.inc("k", RATE))).toMatchObject({ code: "BACKEND_UNAVAILABLE", message: /OOM/ });
    await admin.config("SET", "maxmemory", "0");
    expect((await absolute.inc("k", RATE)).remaining).toBe(58);
  });

  it("a server that became a replica is unavailable", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port), { timeoutMs: 10_000 });
    await absolute.inc("k", RATE);
    const admin = adminOf(server.port);
    await admin.replicaof("127.0.0.1", 1);
    expect(await failureOf(absolute.inc("k", RATE))).toMatchObject({
      code: "BACKEND_UNAVAILABLE",
      message: /READONLY/,
    });
    await admin.replicaof("NO", "ONE");
    expect((await absolute.inc("k", RATE)).remaining).toBe(58);
  });

  it("a server that still loads its data fails calls in time, decides by the policies, and then goes on", async () => {
    const server = await startServer();
    const before = open(connect(server.port), { timeoutMs: 10_000, windowMs: HOUR_MS });
    for (let i = 0; i < 3; i++) await before.absolute.inc("k", HOURLY);
    const admin = adminOf(server.port, false);
    const keyBytes = 2_048;
    await admin.eval(`for i = 1, 9000 do redis.call('SET', i, string.rep(string.char(i % 256), ${keyBytes})) end`, 0);
    await admin.config("SET", "rdbcompression", "no");
    await admin.save();
    const [hasOption] = (await admin.config("GET", BYTES_BETWEEN_ANSWERS)) as string[];
    // It would take minutes, but that it answers between two keys, and is told below to make haste.
    const loaded = server.restart(...(hasOption ? LOADING_SLOWLY : LOADING_SLOWLY_BEFORE_7));
    const providers = POLICIES.map(
      (onFailure) => open(connect(server.port), { onFailure, windowMs: HOUR_MS }).absolute,
    );
    await expect.poll(() => admin.get("k").catch(String)).toMatch(/LOADING/);
    for (let i = 0; i < 10; i++) {
      const [failing, allowing, denying, local] = providers;
      expect((await failureOf(failing!.inc("k", HOURLY))).code).toMatch(/^BACKEND_(UNAVAILABLE|TIMEOUT)$/);
      expect(await allowing!.inc("k", HOURLY)).toMatchObject({ allowed: true, degraded: true });
      expect(await denying!.inc("k", HOURLY)).toMatchObject({ allowed: false, degraded: true });
      expect(await local!.inc("k", HOURLY, 6)).toMatchObject({ allowed: true, degraded: true, remaining: 54 - 6 * i });
    }
    expect(await admin.get("k").catch(String)).toMatch(/LOADING/);
    if (hasOption) await admin.config("SET", "key-load-delay", "0");
    await loaded;
    const back = await recovery(() => providers[0]!.get("k"));
    expect(back.total).toBeGreaterThanOrEqual(3);
  });

  it("a Redis key that something else has written fails its own calls only", async () => {
    const server = await startServer();
    const { absolute } = open(connect(server.port), { timeoutMs: 10_000 });
    await adminOf(server.port).lpush("trypema:a:60000:100:{:k}", "not ours");
    for (let i = 0; i < 20; i++) expect((await failureOf(absolute.inc("k", RATE))).code).toBe("BACKEND_SCRIPT");
    expect((await absolute.inc("other", RATE)).allowed).toBe(true);
  });

  it.each([
    ["allow", { outcome: "allowed", allowed: true, limit: 60, remaining: 60, retryAfterMs: 0 }],
    ["deny", { outcome: "rejected", allowed: false, limit: 60, remaining: 0, retryAfterMs: TIMEOUT_MS }],
  ] as const)("onFailure %j decides so while Redis is away, and says that it did", async (onFailure, expected) => {
    const server = await startServer();
    const { absolute, suppressed } = open(connect(server.port), { onFailure });
    await server.stop();
    for (let i = 0; i < 10; i++) {
      expect(await absolute.inc("k", RATE)).toMatchObject({ ...expected, degraded: true });
      expect((await suppressed.inc("k", RATE)).allowed).toBe(expected.allowed);
    }
    expect((await absolute.isAllowed("k")).allowed).toBe(expected.allowed);
    expect(await absolute.isAllowed("k", 1, RATE)).toMatchObject({ ...expected, degraded: true });
    expect((await failureOf(absolute.get("k"))).code).toMatch(/^BACKEND_/);
    expect((await failureOf(absolute.inc("k", 0 as never))).code).toBe("INVALID_RATE");
  });

  it('onFailure "local" limits here while Redis is away, and there again when it is back', async () => {
    const server = await startServer();
    const provider = open(connect(server.port), { onFailure: "local", windowMs: HOUR_MS });
    const { absolute } = provider;
    await server.stop();
    const outcomes = [];
    for (let i = 0; i < 70; i++) outcomes.push(await absolute.inc("k", HOURLY));
    expect(outcomes.map(({ allowed }) => allowed)).toEqual(outcomes.map((_, i) => i < 60));
    expect(outcomes.every(({ degraded }) => degraded)).toBe(true);
    expect((await absolute.get("k")).total).toBe(60);
    expect(await absolute.adjust("k", -10)).toBe(50);
    await startServer(server.port);
    const back = await recovery(async () => {
      const decision = await absolute.inc("k", HOURLY);
      return decision.degraded ? undefined : decision;
    });
    // The client kept the calls that came before the breaker opened, and those that tried whether Redis is back. It has
    // sent them now.
    expect(back?.allowed).toBe(true);
    expect(back?.remaining).toBeGreaterThanOrEqual(60 - provider.stats().scriptCalls);
    expect(provider.stats().scriptCalls).toBeLessThan(30);
  });
});

it("a client in a MULTI is told from one that answers", async () => {
  const server = await startServer();
  const client = adminOf(server.port);
  const { absolute } = open(client);
  await client.multi({ pipeline: false });
  const failure = await failureOf(absolute.inc("k", RATE));
  expect(failure).toMatchObject({ code: "BACKEND_UNAVAILABLE", message: expect.stringContaining("MULTI") });
  await client.discard();
  expect((await absolute.inc("k", RATE)).allowed).toBe(true);
});

it("an open breaker sends one call at a time, and none while that one is unanswered", async () => {
  let sent = 0;
  let answer: (() => void) | undefined;
  const hung: CommandClient = {
    sendCommand: () => {
      sent++;
      return new Promise((resolve) => {
        // One is taken, and the next is free in a minute.
        answer = () => resolve(60_001 + 60_000);
      });
    },
  };
  const { absolute } = open(hung, { timeoutMs: 5 });
  const clock = stopClock();
  for (let i = 0; i < 5; i++) await failureOf(absolute.inc("k", RATE));
  expect(sent).toBe(5);
  for (let i = 0; i < 100; i++) await failureOf(absolute.inc("k", RATE));
  expect(sent).toBe(5);
  clock.advance(LONGER_THAN_A_PROBE_MS);
  await Promise.all(Array.from({ length: 100 }, () => failureOf(absolute.inc("k", RATE))));
  expect(sent).toBe(6);
  clock.advance(LONGER_THAN_A_PROBE_MS);
  await failureOf(absolute.inc("k", RATE));
  expect(sent).toBe(6);
  answer!();
  await sleep(0);
  const call = absolute.inc("k", RATE);
  // Calls are on their way that this client will never answer, so the call waits for the end of the turn.
  await new Promise(setImmediate);
  expect(sent).toBe(7);
  answer!();
  expect((await call).allowed).toBe(true);
});

function adminOf(port: number, enableReadyCheck = true): Redis {
  const admin = new Redis({ port, enableReadyCheck });
  admin.on("error", () => {});
  onTestFinished(() => admin.disconnect());
  return admin;
}

async function flushScripts(port: number): Promise<void> {
  await adminOf(port).script("FLUSH");
}
