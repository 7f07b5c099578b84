// Many processes on one key: what they are admitted together never passes the capacity (guarantee G1).

import { afterAll, beforeAll, expect, it } from "vitest";
import { runScript } from "../support/built.ts";
import { RedisServer } from "../support/redis.ts";

const PROCESSES = 8;
const WINDOW_MS = 500;
const CAPACITY = 200;
const DURATION_MS = 3_000;
/** How far the processes' clocks may be apart. */
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

const TIGHT: Limit = { capacity: CAPACITY, windowMs: WINDOW_MS };
/** Longer than the test: what is denied by one limit must not be counted by the other. */
const WIDE: Limit = { capacity: 4 * CAPACITY, windowMs: 10 * WINDOW_MS };

const ways: Record<string, { limits: readonly Limit[]; setUp: string; call: string }> = {
  calls: {
    limits: [TIGHT],
    setUp: `
      const { absolute } = createRedisProvider(client, { windowMs: ${WINDOW_MS}, bucketMs: 10, timeoutMs: 20_000 });
      const rate = perSecond(${(CAPACITY * 1_000) / WINDOW_MS});`,
    call: 'absolute.inc("key", rate)',
  },
  "takes of two limits": {
    limits: [TIGHT, WIDE],
    setUp: `
      const limits = createLimits(createRedisProvider(client, { timeoutMs: 20_000 }), {
        tight: { limit: ${TIGHT.capacity}, windowMs: ${TIGHT.windowMs}, bucketMs: 10 },
        wide: { limit: ${WIDE.capacity}, windowMs: ${WIDE.windowMs}, bucketMs: 10 },
      });`,
    call: 'limits.take("key")',
  },
};

/** Hammers the key with 25 calls in flight; prints when each admitted call was sent and answered. */
function hammer(connection: string, { setUp, call }: { setUp: string; call: string }): string {
  return `
    import { createLimits, perSecond } from "trypema";
    import { createRedisProvider } from "trypema/redis";
    const PORT = ${server.port};
    ${connection}
    ${setUp}
    const now = () => performance.timeOrigin + performance.now();
    const admitted = [];
    const endMs = now() + ${DURATION_MS};
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
    const way = ways[name]!;
    const scripts = Array.from({ length: PROCESSES }, (_, i) => hammer(connections[i % connections.length]!, way));
    const outputs = await Promise.all(scripts.map((script) => runScript(script)));
    const calls: [sentMs: number, answeredMs: number][] = outputs.flatMap(({ stdout }) => JSON.parse(stdout));
    expect(calls.length).toBeGreaterThan(CAPACITY);
    for (const { capacity, windowMs } of way.limits) {
      expect(mostWithin(calls, windowMs)).toBeLessThanOrEqual(capacity);
    }
    // The measure would see it: nearly the whole capacity was within some window.
    expect(mostWithin(calls, TIGHT.windowMs)).toBeGreaterThan(CAPACITY * 0.5);
  },
);
