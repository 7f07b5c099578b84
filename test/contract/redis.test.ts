import { Cluster, Redis } from "ioredis";
import { createClient, createCluster } from "redis";
import type { LimiterOptions } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import type { RedisClient } from "trypema/redis";
import { createRedisProvider } from "trypema/redis";
import { afterAll, beforeAll } from "vitest";
import { RedisCluster, RedisServer } from "../support/redis.ts";
import { describeProvider } from "./contract.ts";

interface Open {
  readonly client: RedisClient;
  readonly close: () => unknown;
}

let server: RedisServer;
let cluster: RedisCluster;
const opened: Record<string, Open> = {};
let prefixes = 0;

const clients: Record<string, () => Promise<Open> | Open> = {
  ioredis() {
    const client = new Redis(server.port);
    return { client, close: () => client.disconnect() };
  },

  async "node-redis"() {
    const client = await createClient({ socket: { port: server.port } }).connect();
    return { client, close: () => client.destroy() };
  },

  "ioredis, Cluster"() {
    const client = new Cluster(cluster.servers.map(({ port }) => ({ host: "127.0.0.1", port })));
    return { client, close: () => client.disconnect() };
  },

  async "node-redis, Cluster"() {
    const rootNodes = cluster.servers.map(({ port }) => ({ socket: { host: "127.0.0.1", port } }));
    const client = await createCluster({ rootNodes }).connect();
    return { client, close: () => client.destroy() };
  },
};

beforeAll(async () => {
  [server, cluster] = await Promise.all([RedisServer.start(), RedisCluster.start()]);
});

afterAll(async () => {
  for (const { close } of Object.values(opened)) close();
  await Promise.all([server.stop(), cluster.stop()]);
});

for (const [name, connect] of Object.entries(clients)) {
  const nextOptions = (options: LimiterOptions) => ({
    ...options,
    prefix: `test-${++prefixes}`,
    timeoutMs: 30_000,
  });
  describeProvider(`Redis, ${name}`, async (options) => {
    opened[name] ??= await connect();
    return createRedisProvider(opened[name].client, nextOptions(options));
  });
  describeProvider(`Hybrid, ${name}`, async (options) => {
    opened[name] ??= await connect();
    return createHybridProvider(opened[name].client, nextOptions(options));
  });
}
