// Which clients are taken, and which are refused before they can fail. None of them has to be connected for that.

import { Redis as Upstash } from "@upstash/redis";
import { Batch, ClusterBatch } from "@valkey/valkey-glide";
import { Cluster, Redis } from "ioredis";
import { Redis as Iovalkey, Cluster as IovalkeyCluster } from "iovalkey";
import { createClient, createClientPool, createCluster, createSentinel } from "redis";
import { createRedisProvider, type RedisClient } from "trypema/redis";
import { afterAll, describe, expect, it } from "vitest";

const cleanups: (() => unknown)[] = [];

afterAll(() => {
  for (const cleanup of cleanups) cleanup();
});

function lazy<Client extends { disconnect(): unknown }>(client: Client): Client {
  cleanups.push(() => client.disconnect());
  return client;
}

const node = { host: "127.0.0.1", port: 1 };
const socket = node;
const redis = lazy(new Redis({ ...node, lazyConnect: true }));
const cluster = lazy(new Cluster([node], { lazyConnect: true }));
const iovalkey = lazy(new Iovalkey({ ...node, lazyConnect: true }));
const iovalkeyCluster = lazy(new IovalkeyCluster([node], { lazyConnect: true }));
const nodeRedis = createClient({ socket });
const pool = createClientPool({ socket });
const upstash = new Upstash({ url: "http://127.0.0.1:1", token: "secret" });
const upstashWithoutPipelines = new Upstash({
  url: "http://127.0.0.1:1",
  token: "secret",
  enableAutoPipelining: false,
});

/** As `kv` of @vercel/kv is: an object that has nothing of its own, and makes the client when it is first used. */
const kv = new Proxy({} as Upstash, { get: (_, name) => Reflect.get(upstash, name) });

const noop = () => {};

describe("takes", () => {
  it.each<[string, RedisClient]>([
    ["ioredis", redis],
    ["ioredis' Cluster", cluster],
    ["iovalkey", iovalkey],
    ["iovalkey's Cluster", iovalkeyCluster],
    ["node-redis", nodeRedis],
    ["node-redis with other types of replies", nodeRedis.withTypeMapping({})],
    ["node-redis' pool", pool],
    ["node-redis' cluster", createCluster({ rootNodes: [{ socket }] })],
    ["node-redis' sentinel", createSentinel({ name: "limits", sentinelRootNodes: [node] })],
    ["node-redis' legacy()", nodeRedis.legacy()],
    ["Upstash", upstash],
    ["Upstash without pipelines", upstashWithoutPipelines],
    ["Vercel's kv", kv],
    ["what has sendCommand", { sendCommand: async () => "" }],
  ])("%s", (_, client) => {
    expect(createRedisProvider(client).windowMs).toBe(60_000);
  });
});

describe("refuses", () => {
  it.each<[string, unknown]>([
    ["a pipeline of ioredis", redis.pipeline()],
    ["a MULTI of ioredis", redis.multi()],
    ["a pipeline of ioredis' Cluster", cluster.pipeline()],
    ["a pipeline of iovalkey", iovalkey.pipeline()],
    ["a MULTI of node-redis", nodeRedis.multi()],
    ["a MULTI of node-redis' pool", pool.multi()],
    ["a MULTI of node-redis' legacy()", nodeRedis.legacy().multi()],
    ["a pipeline of Upstash", upstash.pipeline()],
    ["a MULTI of Upstash", upstashWithoutPipelines.multi()],
    ["a batch of GLIDE", new Batch(false)],
    ["a batch of GLIDE for a Cluster", new ClusterBatch(true)],
    ["a client with the methods of scripts, whose arguments nobody knows", { eval: noop, evalsha: noop, scan: noop }],
    ["a client of version 3 of redis", { eval: noop, evalsha: noop, sendCommand: noop, multi: noop }],
    ["a websocket", { send: noop, close: noop }],
    ["memcached", { get: noop, set: noop, incr: noop, connect: noop }],
    ["a class of clients", Redis],
    ["an address", "redis://127.0.0.1:6379"],
    ["nothing", undefined],
    ["null", null],
    ["an object", {}],
  ])("%s", (_, client) => {
    expect(() => createRedisProvider(client as RedisClient)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", message: expect.stringMatching(/^client: got .* expected /) }),
    );
  });

  it("what can't be looked at, and says why", () => {
    const cause = new Error("Missing required environment variables KV_REST_API_URL and KV_REST_API_TOKEN");
    const client = new Proxy({} as Upstash, {
      get() {
        throw cause;
      },
    });
    expect(() => createRedisProvider(client)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", message: expect.stringContaining(cause.message), cause }),
    );
  });
});
