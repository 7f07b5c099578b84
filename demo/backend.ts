// Where the demo keeps its counts: in the process, or in Redis.

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { createLocalProvider, type LimiterOptions, type Provider } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { RedisServer } from "../test/support/redis.ts";
import { UserError } from "./options.ts";

export interface Backend {
  /** For people: what counts, and where. */
  readonly name: string;
  readonly provider: Provider;
  close(): Promise<void>;
}

const ENSURE_REDIS = fileURLToPath(new URL("../../scripts/ensure-redis.js", import.meta.url));

/** As long as the demo's clients wait: it is to show limits, not deadlines. */
const TIMEOUT_MS = 5_000;

/**
 * The Redis that `url` names, or a server of the demo's own.
 *
 * @throws {UserError} when there is none
 */
export async function openRedis(options: LimiterOptions, url: string | undefined): Promise<Backend> {
  const server = url === undefined ? await startRedis() : undefined;
  const address = url ?? `redis://127.0.0.1:${server!.port}`;
  const client = new Redis(address);
  const close = async () => {
    client.disconnect();
    await server?.stop();
  };
  client.on("error", () => {}); // its calls fail, and that is shown
  const provider = createRedisProvider(client, { ...options, prefix: "trypema-demo", timeoutMs: TIMEOUT_MS });
  const { host, port } = client.options;
  try {
    // The first error of the connection says more than the deadline that passes later.
    const closed = once(client, "close").then(() => Promise.reject(new Error("it closed the connection")));
    await Promise.race([provider.absolute.get("anything"), closed]);
  } catch (error) {
    await close();
    throw new UserError(`no answer from Redis on ${host}:${port}: ${reasonOf(error)}`);
  }
  const whose = url === undefined ? "a server of the demo's own" : "REDIS_URL";
  return { name: `Redis provider on ${host}:${port} (${whose})`, provider, close };
}

export function openLocal(options: LimiterOptions): Backend {
  const provider = createLocalProvider(options);
  return { name: "Local provider", provider, close: async () => provider.close() };
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
