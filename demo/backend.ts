// Where the demo keeps its counts: in the process, in Redis, or in both.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { createLocalProvider, type LimiterOptions, type Provider } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { RedisServer } from "../test/support/redis.ts";
import { type Counter, UserError } from "./options.ts";

export interface Backend {
  /** For people: what counts, and where. */
  readonly name: string;
  readonly provider: Provider;
  close(): Promise<void>;
}

export interface FoundRedis {
  readonly client: Redis;
  readonly url: string;
  /** For people. */
  readonly name: string;
  close(): Promise<void>;
}

const ENSURE_REDIS = fileURLToPath(new URL("../../scripts/ensure-redis.js", import.meta.url));

/** The time is as long as the demo's clients wait: it is to show limits, not deadlines. */
const REDIS_OPTIONS = { prefix: "trypema-demo", timeoutMs: 5_000 };

/**
 * @param url of the Redis to count in, if any is named
 * @throws {UserError} when there is none
 */
export async function openBackend(
  counter: Counter,
  options: LimiterOptions,
  url: string | undefined,
): Promise<Backend> {
  if (counter === "local") {
    const provider = createLocalProvider(options);
    return { name: "Local provider", provider, close: async () => provider.close() };
  }
  const redis = await findRedis(url);
  const create = counter === "hybrid" ? createHybridProvider : createRedisProvider;
  const provider = create(redis.client, { ...options, ...REDIS_OPTIONS });
  const close = async () => {
    await provider.close();
    await redis.close();
  };
  return { name: `${counter === "hybrid" ? "Hybrid" : "Redis"} provider on ${redis.name}`, provider, close };
}

/**
 * The Redis that `url` names, or a server of the demo's own.
 *
 * @throws {UserError} when there is none
 */
export async function findRedis(url: string | undefined): Promise<FoundRedis> {
  const server = url === undefined ? await startRedis() : undefined;
  const address = url ?? `redis://127.0.0.1:${server!.port}`;
  const client = new Redis(address);
  const close = async () => {
    client.disconnect();
    await server?.stop();
  };
  client.on("error", () => {}); // its calls fail, and that is shown
  const { host, port } = client.options;
  try {
    // The first error of the connection says more than the deadline that passes later.
    const closed = once(client, "close").then(() => Promise.reject(new Error("it closed the connection")));
    await Promise.race([createRedisProvider(client, REDIS_OPTIONS).absolute.get("anything"), closed]);
  } catch (error) {
    await close();
    throw new UserError(`no answer from Redis on ${host}:${port}: ${reasonOf(error)}`);
  }
  const whose = url === undefined ? "a server of the demo's own" : "REDIS_URL";
  return { client, url: address, name: `${host}:${port} (${whose})`, close };
}

async function startRedis(): Promise<RedisServer> {
  const { status, stderr } = spawnSync(process.execPath, [ENSURE_REDIS], { stdio: ["ignore", "inherit", "pipe"] });
  if (status !== 0) throw new UserError(String(stderr).trim());
  return RedisServer.start();
}

/** Refusals over IPv6 and IPv4 come as an AggregateError without a message. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join(", ");
  return error instanceof Error ? error.message : String(error);
}
