// With counts in Redis: shared by two servers, and what happens when it is gone.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { Redis } from "ioredis";
import { days, hours, minutes, perMinute } from "trypema";
import { type LimiterDefinition, prometheusMetrics, rateLimit } from "trypema/express";
import { Guard, type HttpRequest } from "trypema/http";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { expect, it } from "vitest";
import { RedisServer } from "../support/redis.ts";
import { limiterOf } from "./limiter-of.ts";
import { limitLines, send } from "./raw-client.ts";

/** A deadline that no busy machine misses. Where Redis is gone the client says so at once. */
const PATIENT = { timeoutMs: 30_000 };

function connect(port: number): Redis {
  const client = new Redis(port, { retryStrategy: () => 50, enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  client.on("error", () => {});
  return client;
}

const REQUEST: HttpRequest<object> = { raw: {}, method: "GET", path: "/", peerAddress: "::1", header: () => undefined };

it("two servers limit together, and go on by their policies when Redis dies", async () => {
  const redis = await RedisServer.start();
  const client = connect(redis.port);
  await once(client, "ready");
  const metrics = prometheusMetrics();
  const rejections: unknown[] = [];
  const note = (reason: unknown) => rejections.push(reason);
  process.on("unhandledRejection", note);

  const serve = async () => {
    const provider = createRedisProvider(client, { windowMs: 60_000, ...PATIENT });
    const app = express();
    const limit = (definition: LimiterDefinition) => rateLimit({ provider, metrics, ...definition });
    const limiters = [
      { name: "first", rate: perMinute(100) },
      { name: "second", rate: perMinute(5) },
    ];
    app.get("/both", rateLimit({ provider, metrics, limiters }));
    app.get("/allow", limit({ name: "allow", rate: perMinute(5) }));
    app.get("/deny", limit({ name: "deny", rate: perMinute(5), onBackendFailure: "deny" }));
    app.get("/local", limit({ name: "local", rate: perMinute(2), onBackendFailure: "local" }));
    app.use((_, response) => void response.end("hello"));
    const server = createServer(app).listen(0, "127.0.0.1");
    await once(server, "listening");
    return { server, provider, port: (server.address() as AddressInfo).port };
  };
  const [one, other] = [await serve(), await serve()];

  try {
    const statuses = [];
    for (let i = 0; i < 8; i++) statuses.push((await send([one, other][i % 2]!.port, { path: "/both" })).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    expect((await limiterOf(one.provider, "first").get("127.0.0.1")).total).toBe(5);
    expect(limitLines(await send(one.port, { path: "/both" }))[1]).toMatch(
      /^ratelimit: "first";r=95, "second";r=0;t=\d+$/,
    );

    await redis.stop();
    const get = async (path: string) => (await send(one.port, { path })).status;
    expect([await get("/allow"), await get("/deny")]).toEqual([200, 503]);
    expect([await get("/local"), await get("/local"), await get("/local")]).toEqual([200, 200, 429]);
    const flood = await Promise.all(Array.from({ length: 200 }, () => get("/allow")));
    expect(new Set(flood)).toEqual(new Set([200]));
    expect(metrics.text()).toMatch(/failures_total\{limiter="deny",kind="backend"\} 1/);
    expect(rejections).toEqual([]);
  } finally {
    process.off("unhandledRejection", note);
    for (const { server } of [one, other]) server.close();
    client.disconnect();
    await redis.stop();
  }
});

it("two servers with hybrid providers limit together, and hold what they know when Redis dies", async () => {
  const redis = await RedisServer.start();
  const client = connect(redis.port);
  await once(client, "ready");
  const serve = async () => {
    const provider = createHybridProvider(client, PATIENT);
    const app = express();
    // In a window that is over long after the test.
    app.use(rateLimit({ provider, name: "calls", limit: 100, windowMs: hours(1) }));
    app.use((_, response) => void response.end("hello"));
    const server = createServer(app).listen(0, "127.0.0.1");
    await once(server, "listening");
    return { server, provider, port: (server.address() as AddressInfo).port };
  };
  const servers = [await serve(), await serve()];
  const statuses = async (port: number, calls: number) => {
    const responses = [];
    for (let i = 0; i < calls; i++) responses.push(await send(port));
    return responses.map(({ status }) => status);
  };

  try {
    const [one, other] = servers as [(typeof servers)[0], (typeof servers)[0]];
    const both = [...(await statuses(one.port, 60)), ...(await statuses(other.port, 80))];
    const admitted = () => both.filter((status) => status === 200).length;
    // What one of them has leased and doesn't spend moves on after a while.
    const callOn = async () => {
      both.push(...(await statuses(one.port, 1)), ...(await statuses(other.port, 1)));
      return admitted();
    };
    await expect.poll(callOn).toBe(100);
    for (let i = 0; i < 20; i++) expect(await callOn()).toBe(100);
    expect(new Set(both)).toEqual(new Set([200, 429]));
    // A process believes only for a moment that there is no room while another one has a lease. Now none has one.
    await other.provider.close();
    await limiterOf(one.provider.withWindow({ windowMs: hours(1) }), "calls").get("127.0.0.1");
    expect(await statuses(one.port, 1)).toEqual([429]);
    await redis.stop();
    // It is known here how long there is no room.
    expect(new Set(await statuses(one.port, 20))).toEqual(new Set([429]));
  } finally {
    for (const { server, provider } of servers) {
      server.close();
      await provider.close();
    }
    client.disconnect();
    await redis.stop();
  }
});

it("asks Redis once about all limiters of a request, and the window of a server is that of another one", async () => {
  const redis = await RedisServer.start();
  const client = new Redis(redis.port);
  const sent: string[] = [];
  const sendCommand = (args: string[]) => {
    sent.push(args[0]!);
    return client.call(args[0]!, args.slice(1));
  };
  const limiters = [
    { name: "burst", limit: 2, windowMs: minutes(10) },
    { name: "day", limit: 100, windowMs: days(1), bucketMs: minutes(1) },
    { name: "login", limit: 50, windowMs: minutes(15), blockMs: hours(1) },
  ];
  const guardOf = () => new Guard<object>({ provider: createRedisProvider({ sendCommand }, PATIENT), limiters });
  try {
    const guards = [guardOf(), guardOf()];
    const verdicts = [];
    for (let i = 0; i < 4; i++) {
      // The first script of a server has to be loaded.
      if (i === 1) sent.length = 0;
      verdicts.push(await guards[i % 2]!.check({ ...REQUEST, raw: {} }));
    }
    expect(sent).toEqual(["EVALSHA", "EVALSHA", "EVALSHA"]);
    expect(verdicts.map(({ answer }) => answer?.status ?? 200)).toEqual([200, 200, 429, 429]);
    expect(verdicts[3]!.answer!.fields.join()).toMatch(/"burst";r=0;t=\d+, "day";r=98, "login";r=48/);
  } finally {
    client.disconnect();
    await redis.stop();
  }
});

it.each([
  ["Redis", createRedisProvider],
  ["Hybrid", createHybridProvider],
] as const)("blocks a client for all servers on %s, and says until when", async (_, create) => {
  const redis = await RedisServer.start();
  const client = new Redis(redis.port);
  const limits = { name: "login", limit: 3, windowMs: minutes(15), blockMs: hours(1), key: () => "ann" };
  const providers = [create(client, PATIENT), create(client, PATIENT)];
  const guards = providers.map((provider) => new Guard<object>({ provider, ...limits }));
  const answerOf = async (guard: Guard<object>) => (await guard.check({ ...REQUEST, raw: {} })).answer;
  try {
    const statuses = [];
    for (let i = 0; i < 4; i++) statuses.push((await answerOf(guards[0]!))?.status ?? 200);
    expect(statuses).toEqual([200, 200, 200, 429]);
    const blocked = (await answerOf(guards[1]!))!;
    expect(JSON.parse(blocked.body).type).toMatch(/#abnormal-usage-detected$/);
    const [, retryAfter] = blocked.fields;
    expect(Number(retryAfter)).toBeGreaterThan(3_500);
    expect(Number(retryAfter)).toBeLessThanOrEqual(3_600);
  } finally {
    for (const provider of providers) await provider.close();
    client.disconnect();
    await redis.stop();
  }
});
