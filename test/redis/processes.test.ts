// Many processes on one key: what they are admitted together never passes the capacity (guarantee G1).

import { afterAll, beforeAll, expect, it } from "vitest";
import { runScript } from "../support/built.ts";
import { RedisServer } from "../support/redis.ts";

const PROCESSES = 8;
const CAPACITY = 200;
const FIRST_WINDOW_MS = 500;
/** For longer windows a machine would have to be so slow that hardly anything else here would end. */
const LAST_WINDOW_MS = 16_000;
/** How many windows the calls go on for. */
const WINDOWS = 6;
/** How far the server's clock may run ahead of the processes' within a window. */
const CLOCKS_APART_MS = 10;

let server: RedisServer;

beforeAll(async () => {
  server = await RedisServer.start();
});

afterAll(() => server.stop());

const connections = [
  `import { Redis } from "ioredis";
   const client = new Redis(PORT);
   const close = () => client.disconnect();`,
  `import { createClient } from "redis";
   const client = await createClient({ socket: { port: PORT } }).connect();
   const close = () => client.destroy();`,
];

/** A limit of calls in a window. */
interface Limit {
  readonly capacity: number;
  readonly windowMs: number;
}

interface Way {
  readonly limits: readonly Limit[];
  readonly setUp: string;
  readonly call: string;
}

/** The ways to call, for a window of that length. */
const ways: Record<string, (windowMs: number) => Way> = {
  calls: (windowMs) => ({
    limits: [{ capacity: CAPACITY, windowMs }],
    setUp: `
      const { absolute } = createRedisProvider(client, { windowMs: ${windowMs}, bucketMs: 10, timeoutMs: 60_000 });
      const rate = perSecond(${(CAPACITY * 1_000) / windowMs});`,
    call: 'absolute.inc("key", rate)',
  }),
  "takes of two limits": (windowMs) => {
    const tight = { capacity: CAPACITY, windowMs };
    // Longer than the calls go on for: what is denied by one limit must not be counted by the other.
    const wide = { capacity: 4 * CAPACITY, windowMs: 10 * windowMs };
    return {
      limits: [tight, wide],
      setUp: `
        const limits = createLimits(createRedisProvider(client, { timeoutMs: 60_000 }), {
          tight: { limit: ${tight.capacity}, windowMs: ${tight.windowMs}, bucketMs: 10 },
          wide: { limit: ${wide.capacity}, windowMs: ${wide.windowMs}, bucketMs: 10 },
        });`,
      call: 'limits.take("key")',
    };
  },
};

/** Hammers the key with 25 calls in flight for `ms`; prints when each admitted call was sent and answered. */
function hammer(connection: string, { setUp, call }: Way, ms: number): string {
  return `
    import { createLimits, perSecond } from "trypema";
    import { createRedisProvider } from "trypema/redis";
    const PORT = ${server.port};
    ${connection}
    ${setUp}
    // All processes of a machine have this clock. A process that is held up at its start has a wrong timeOrigin.
    const now = () => Number(process.hrtime.bigint()) / 1e6;
    const admitted = [];
    const endMs = now() + ${ms};
    async function callAndCall() {
      while (now() < endMs) {
        const sentMs = now();
        const { allowed } = await ${call};
        if (allowed) admitted.push([sentMs, now()]);
      }
    }
    await Promise.all(Array.from({ length: 25 }, callAndCall));
    close();
    console.log(JSON.stringify(admitted));
  `;
}

/** The most calls that were certainly in one window: a call was counted somewhere between its two times. */
function mostWithin(calls: readonly [sentMs: number, answeredMs: number][], windowMs: number): number {
  const bySent = calls.toSorted(([a], [b]) => a - b);
  let most = 0;
  for (const [index, [startMs]] of bySent.entries()) {
    const endMs = startMs + windowMs - CLOCKS_APART_MS;
    let within = 0;
    for (let i = index; i < bySent.length && bySent[i]![0] <= endMs; i++) if (bySent[i]![1] <= endMs) within++;
    most = Math.max(most, within);
  }
  return most;
}

it.each(Object.keys(ways))(
  `${PROCESSES} processes with both clients are never admitted more than the capacity in any window, by %s`,
  async (name) => {
    // On a slow machine calls take longer than a short window, and are in none for certain. Then it is a longer one.
    for (let windowMs = FIRST_WINDOW_MS; ; windowMs *= 2) {
      const way = ways[name]!(windowMs);
      const scripts = Array.from({ length: PROCESSES }, (_, i) =>
        hammer(connections[i % connections.length]!, way, WINDOWS * windowMs),
      );
      const outputs = await Promise.all(scripts.map((script) => runScript(script)));
      const calls: [sentMs: number, answeredMs: number][] = outputs.flatMap(({ stdout }) => JSON.parse(stdout));
      expect(calls.length).toBeGreaterThan(CAPACITY);
      for (const limit of way.limits) {
        expect(mostWithin(calls, limit.windowMs)).toBeLessThanOrEqual(limit.capacity);
      }
      // The measure would see it: nearly the whole capacity was within some window.
      const most = mostWithin(calls, windowMs);
      if (most > CAPACITY * 0.5) break;
      expect(windowMs, `only ${most} calls were within a window`).toBeLessThan(LAST_WINDOW_MS);
    }
  },
);
