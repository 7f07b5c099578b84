import { Redis } from "ioredis";
import { perSecond } from "trypema";
import { afterAll, beforeAll } from "vitest";
import { RedisServer } from "./redis.ts";
import { PERFECT, SimulatedProcess, virtualizeTime, World } from "./simulation.ts";

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

/** The same, with virtual time in the simulated processes. */
export function useSimulation(): { readonly client: Redis } {
  const redis = useRedis();
  let realTime: () => void;
  beforeAll(async () => {
    realTime = virtualizeTime();
    // Redis knows the scripts from then on, so that a seed makes the same schedule always.
    const world = new World(0, redis.client, { ...PERFECT });
    const process = new SimulatedProcess(world, { prefix: "first", timeoutMs: 60_000 });
    process.call("absolute", "a", perSecond(1));
    await world.settled(process.do(() => process.provider.absolute.get("a")));
  });
  afterAll(() => realTime());
  return redis;
}
