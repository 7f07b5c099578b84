import { Redis } from "ioredis";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { RedisServer } from "./redis.ts";

/** A server and a client of it for the tests of a file, there from the first test to the last. */
export function useRedis(): { readonly client: Redis } {
  const used = {} as { server: RedisServer; client: Redis };
  beforeAll(async () => {
    used.server = await RedisServer.start();
    used.client = new Redis(used.server.port);
  });
  afterAll(async () => {
    used.client.disconnect();
    await used.server.stop();
  });
  return used;
}

/** A server of its own for one test, on any free port if none is given. */
export async function startServer(port?: number, ...args: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(port, ...args);
  onTestFinished(() => server.stop());
  return server;
}
