import { perSecond } from "trypema";
import { afterAll, beforeAll } from "vitest";
import { useRedis } from "../use-redis.ts";
import { HybridProcess, RedisProcess } from "./process.ts";
import { virtualizeTime } from "./timeline.ts";
import { type Network, World } from "./world.ts";

/** A new world; with no network given, one where nothing is lost. */
type Create = (seed?: number, network?: Partial<Network>) => World;

/**
 * The server's own time is real, and it keeps what a caller's clock counts for a minute longer than that clock says. On
 * a machine that is busy a simulation of a second takes longer than a minute: then the server would forget what has
 * been counted, and a fleet would be admitted more than the capacity. So at this pace it is told to keep everything.
 */
const KEEP_EVERY_MS = 10_000;
const KEEP_ALL = `
  for _, key in ipairs(redis.call('KEYS', '*')) do
    if redis.call('PTTL', key) > 0 then redis.call('PEXPIRE', key, 86400000) end
  end
`;

/**
 * Worlds with simulated processes for the tests of a file, on a Redis server of its own.
 *
 * @param checksEvery after every how many scripts a world checks what Redis holds
 */
export function useSimulation(checksEvery = 1): Create {
  const redis = useRedis();
  let realTime: () => void;
  let keeping: ReturnType<typeof setInterval>;
  const create: Create = (seed = 1, network = {}) => new World(redis.client, seed, network, checksEvery);
  beforeAll(async () => {
    realTime = virtualizeTime();
    keeping = setInterval(() => redis.client.eval(KEEP_ALL, 0), KEEP_EVERY_MS);
    // Redis knows the scripts from then on, so that a seed makes the same schedule always.
    const world = create();
    const options = { timeoutMs: 60_000 };
    for (const process of [new HybridProcess(world, options), new RedisProcess(world, options)]) {
      // The first goes alone, and reports about the others together.
      for (const key of ["a", "b", "c"]) process.call("absolute", key, perSecond(1));
      await world.settled(process.do(async () => process.provider.absolute.get("a")));
    }
  });
  afterAll(() => {
    clearInterval(keeping);
    realTime();
  });
  return create;
}
