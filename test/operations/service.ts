// A service with every kind of provider and with limits for HTTP, under load, that Prometheus can scrape.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { Registry } from "prom-client";
import { createLimits, createLocalProvider, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { rateLimit } from "trypema/node";
import { registerMetrics } from "trypema/prometheus";
import { createRedisProvider } from "trypema/redis";

/** Starts the service on a free port. */
export async function startService(redisPort: number) {
  const client = new Redis(redisPort);
  const providers = {
    local: createLocalProvider({ windowMs: 1_000, maxKeys: 200, cleanup: { intervalMs: 500 } }),
    redis: createRedisProvider(client, { windowMs: 1_000, onFailure: "local" }),
    hybrid: createHybridProvider(client, { windowMs: 5_000 }),
  };
  const registry = new Registry();
  const metrics = registerMetrics(registry, { providers });
  const limits = createLimits(providers.redis, {
    burst: { limit: 20, windowMs: 1_000, blockMs: 2_000 },
    soft: { limit: 50, windowMs: 5_000, strategy: "suppressed" },
  });
  const limited = rateLimit(
    { provider: providers.local, name: "api", limit: 5, windowMs: 1_000, metrics },
    async (_, response) => {
      response.setHeader("content-type", registry.contentType);
      response.end(await registry.metrics());
    },
  );
  const server = createServer((request, response) => void limited(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  let turn = 0;
  const load = setInterval(() => {
    turn++;
    for (let i = 0; i < 10; i++) {
      providers.local.absolute.inc(`client-${turn}-${i}`, perSecond(5));
      void providers.redis.absolute.inc(`client-${i}`, perSecond(100));
      void providers.hybrid.absolute.inc(`client-${i % 3}`, perSecond(200));
    }
    void limits.take(`client-${turn % 2}`);
  }, 20);
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      clearInterval(load);
      server.closeAllConnections();
      server.close();
      for (const provider of Object.values(providers)) await provider.close();
      client.disconnect();
    },
  };
}
