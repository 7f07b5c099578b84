// A service with every kind of provider and with limits for HTTP, under load, that Prometheus can scrape.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { Registry } from "prom-client";
import { createLimits, createLocalProvider } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { rateLimit, requestHeader } from "trypema/node";
import { registerMetrics } from "trypema/prometheus";
import { createRedisProvider } from "trypema/redis";

/** How often the clients ask. */
const TURN_MS = 20;
/** Longer than a busy machine makes an answer wait. */
const TIMEOUT_MS = 400;
const TENANTS = ["acme", "bell", "corp", "dune"];

export interface Service {
  readonly port: number;
  /** How many times as much as usual the tenant acme asks. */
  acmeFactor: number;
  /** How many new visitors come a second. */
  visitorsPerSecond: number;
  stop(): Promise<void>;
}

/** Starts the service on a free port. */
export async function startService(redisPort: number): Promise<Service> {
  const client = new Redis(redisPort);
  client.on("error", () => {}); // The metrics tell of it.
  const providers = {
    local: createLocalProvider({ windowMs: 1_000, maxKeys: 200, cleanup: { intervalMs: 500 } }),
    redis: createRedisProvider(client, { windowMs: 1_000, timeoutMs: TIMEOUT_MS, onFailure: "local" }),
    hybrid: createHybridProvider(client, { windowMs: 5_000, timeoutMs: TIMEOUT_MS }),
  };
  const registry = new Registry();
  const metrics = registerMetrics(registry, { providers });
  const visits = createLimits(providers.local, { visit: { limit: 5, windowMs: 1_000 } });
  const logins = createLimits(providers.redis, { login: { limit: 20, windowMs: 1_000, blockMs: 2_000 } });
  const searches = createLimits(providers.redis, { search: { limit: 300, windowMs: 5_000, strategy: "suppressed" } });
  const orders = createLimits(providers.hybrid, { orders: { limit: 500, windowMs: 5_000 } });
  const limited = rateLimit(
    { provider: providers.redis, name: "api", limit: 12, windowMs: 1_000, key: requestHeader("x-tenant"), metrics },
    (_, response) => void response.end(),
  );
  const server = createServer(async (request, response) => {
    if (request.url !== "/metrics") return void limited(request, response);
    response.setHeader("content-type", registry.contentType);
    response.end(await registry.metrics());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  let visitors = 0;
  let lastMs = performance.now();
  const turn = () => {
    const nowMs = performance.now();
    // A busy machine makes turns late.
    const seconds = Math.min(1, (nowMs - lastMs) / 1_000);
    lastMs = nowMs;
    const count = (perSecond: number) => Math.floor(perSecond * seconds + Math.random());
    const repeat = (perSecond: number, call: () => unknown) => {
      for (let left = count(perSecond); left > 0; left--) void call();
    };
    const wave = 1 + Math.sin(nowMs / 9_000) / 4;
    repeat(service.visitorsPerSecond, () => visits.take(`visitor-${++visitors}`));
    for (const tenant of TENANTS) {
      const factor = wave * (tenant === "acme" ? service.acmeFactor : 1);
      repeat(6 * factor, () => logins.take(tenant));
      repeat(30 * factor, () => searches.take(tenant));
      repeat(40 * factor, () => orders.take(tenant));
      repeat(5 * factor, () => fetch(`http://127.0.0.1:${port}/`, { headers: { "x-tenant": tenant } }).catch(() => {}));
    }
  };
  const load = setInterval(turn, TURN_MS);
  const service: Service = {
    port,
    acmeFactor: 1,
    visitorsPerSecond: 80,
    async stop() {
      clearInterval(load);
      server.closeAllConnections();
      server.close();
      for (const provider of Object.values(providers)) await provider.close();
      client.disconnect();
    },
  };
  return service;
}
