// The contract on clients of Redis: both providers that count there.

import type { LimiterOptions } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { afterAll, beforeAll } from "vitest";
import type { OpenClient, OpenClientOf } from "../support/clients.ts";
import { inCrowd } from "../support/in-crowd.ts";
import { RedisCluster, RedisServer } from "../support/redis.ts";
import { describeProvider } from "./contract.ts";

/** @param ways `"alone"` leaves out calls in batches, which are made before a client gets them */
export function describeClients(clients: Readonly<Record<string, OpenClientOf>>, ways: "all" | "alone" = "all"): void {
  let server: RedisServer;
  let cluster: RedisCluster;
  const opened: Record<string, OpenClient> = {};
  let prefixes = 0;

  beforeAll(async () => {
    [server, cluster] = await Promise.all([RedisServer.start(), RedisCluster.start()]);
  });

  afterAll(async () => {
    for (const { close } of Object.values(opened)) await close();
    await Promise.all([server.stop(), cluster.stop()]);
  });

  for (const [name, open] of Object.entries(clients)) {
    const nextOptions = (options: LimiterOptions) => ({
      ...options,
      prefix: `test-${++prefixes}`,
      timeoutMs: 30_000,
    });
    describeProvider(`Redis, ${name}`, async (options) => {
      opened[name] ??= await open({ server, cluster });
      return createRedisProvider(opened[name].client, nextOptions(options));
    });
    if (ways === "all") {
      describeProvider(`Redis in batches, ${name}`, async (options) => {
        opened[name] ??= await open({ server, cluster });
        return inCrowd(createRedisProvider(opened[name].client, nextOptions(options)));
      });
    }
    describeProvider(`Hybrid, ${name}`, async (options) => {
      opened[name] ??= await open({ server, cluster });
      return createHybridProvider(opened[name].client, nextOptions(options));
    });
  }
}
