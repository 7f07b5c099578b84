// The conformance suite on Bun's own Redis client.

import { createHybridProvider } from "trypema/hybrid";
import { type BunRedisClient, createRedisProvider } from "trypema/redis";
import { afterAll } from "vitest";
import { describeProvider } from "../contract/contract.ts";

interface Bun {
  readonly argv: readonly string[];
  readonly RedisClient: new (url: string) => BunRedisClient & { close(): void };
}

/** Declares the suite where Bun runs the program. The address of a Redis server is the program's argument. */
export function describeBunClient(): void {
  const bun = (globalThis as { Bun?: Bun }).Bun;
  const url = bun?.argv[2];
  if (bun === undefined || url === undefined) return;
  const client = new bun.RedisClient(url);
  let prefixes = 0;
  const nextSettings = () => ({ prefix: `bun-${++prefixes}`, timeoutMs: 10_000 });
  describeProvider("Redis, Bun's client", (options) => createRedisProvider(client, { ...options, ...nextSettings() }));
  describeProvider("Hybrid, Bun's client", (options) =>
    createHybridProvider(client, { ...options, ...nextSettings() }),
  );
  afterAll(() => client.close());
}
