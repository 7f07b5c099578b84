// A client of each kind that the library takes, for a server and a Cluster of the tests' own.

import { Redis as UpstashRedis } from "@upstash/redis";
import { Decoder, GlideClient, GlideClusterClient, Logger } from "@valkey/valkey-glide";
import { Cluster, Redis } from "ioredis";
import { Redis as Iovalkey, Cluster as IovalkeyCluster } from "iovalkey";
import { createClient, createClientPool, createCluster } from "redis";
import type { RedisClient } from "trypema/redis";
import type { RedisCluster, RedisServer } from "./redis.ts";
import { startUpstash } from "./upstash.ts";

export interface OpenClient {
  readonly client: RedisClient;
  readonly close: () => unknown;
}

export interface Servers {
  readonly server: RedisServer;
  readonly cluster: RedisCluster;
}

export type OpenClientOf = (servers: Servers) => OpenClient | Promise<OpenClient>;

// GLIDE prints each error that Redis replies, such as NOSCRIPT.
Logger.init("off");

/** Its default of 250 ms is less than a busy machine may take. */
const GLIDE_TIMEOUT_MS = 30_000;

/** The clients that most of the tests run on. */
export const MAIN_CLIENTS: Readonly<Record<string, OpenClientOf>> = {
  ioredis({ server }) {
    const client = new Redis(server.port);
    return { client, close: () => client.disconnect() };
  },

  async "node-redis"({ server }) {
    const client = await createClient({ socket: { port: server.port } }).connect();
    return { client, close: () => client.destroy() };
  },

  "ioredis, Cluster"({ cluster }) {
    const client = new Cluster(nodesOf(cluster));
    return { client, close: () => client.disconnect() };
  },

  async "node-redis, Cluster"({ cluster }) {
    const rootNodes = cluster.servers.map(({ port }) => ({ socket: { host: "127.0.0.1", port } }));
    const client = await createCluster({ rootNodes }).connect();
    return { client, close: () => client.destroy() };
  },
};

/** All others. */
export const OTHER_CLIENTS: Readonly<Record<string, OpenClientOf>> = {
  async "node-redis, pool"({ server }) {
    const client = createClientPool({ socket: { port: server.port } });
    await client.connect();
    return { client, close: () => client.destroy() };
  },

  async "node-redis, legacy()"({ server }) {
    const client = await createClient({ socket: { port: server.port } }).connect();
    return { client: client.legacy(), close: () => client.destroy() };
  },

  iovalkey({ server }) {
    const client = new Iovalkey(server.port);
    return { client, close: () => client.disconnect() };
  },

  "iovalkey, Cluster with automatic pipelines"({ cluster }) {
    const client = new IovalkeyCluster(nodesOf(cluster), { enableAutoPipelining: true });
    return { client, close: () => client.disconnect() };
  },

  async GLIDE({ server }) {
    const addresses = [{ host: "127.0.0.1", port: server.port }];
    const client = await GlideClient.createClient({ addresses, requestTimeout: GLIDE_TIMEOUT_MS });
    return { client, close: () => client.close() };
  },

  async "GLIDE, Cluster, replies as bytes"({ cluster }) {
    const client = await GlideClusterClient.createClient({
      addresses: nodesOf(cluster),
      defaultDecoder: Decoder.Bytes,
      requestTimeout: GLIDE_TIMEOUT_MS,
    });
    return { client, close: () => client.close() };
  },

  async Upstash({ server }) {
    const { close, ...config } = await startUpstash(server.port);
    return { client: new UpstashRedis(config), close };
  },

  async "Upstash, without pipelines and its decoding"({ server }) {
    const { close, ...config } = await startUpstash(server.port);
    const plain = { enableAutoPipelining: false, automaticDeserialization: false, responseEncoding: false } as const;
    return { client: new UpstashRedis({ ...config, ...plain }), close };
  },

  "any other with sendCommand"({ server }) {
    const redis = new Redis(server.port);
    const client = { sendCommand: ([command, ...args]: string[]) => redis.call(command!, ...args) };
    return { client, close: () => redis.disconnect() };
  },
};

function nodesOf(cluster: RedisCluster) {
  return cluster.servers.map(({ port }) => ({ host: "127.0.0.1", port }));
}

/**
 * A client that lets no keys of several slots through together.
 *
 * @param before what comes before each script that is let through, with the first of its keys; the script fails if it
 *   fails
 */
export function clientThatSplits(client: () => Redis, before: (key: string) => unknown): RedisClient {
  return {
    async sendCommand([command, ...args]: string[]) {
      const keys = args.slice(2, 2 + Number(args[1]));
      if (new Set(keys.map((key) => /\{(.*?)\}/.exec(key)?.[1])).size > 1) throw new Error("CROSSSLOT Keys in request");
      await before(keys[0]!);
      return client().call(command!, ...args);
    },
  };
}
