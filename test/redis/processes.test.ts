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

/** Hammers the key with 25 calls in flight; prints when each admitted call was sent and answered. */
function hammer(connection: string): string {
  return `
    import { perSecond } from "trypema";
    import { createRedisProvider } from "trypema/redis";
    const PORT = ${server.port};
    ${connection}
    const { absolute } = createRedisProvider(client, { windowMs: ${WINDOW_MS}, bucketMs: 10, timeoutMs: 20_000 });
    const now = () => performance.timeOrigin + performance.now();
    const rate = perSecond(${(CAPACITY * 1_000) / WINDOW_MS});
    const admitted = [];
    const endMs = now() + ${DURATION_MS};
    async function callAndCall() {
      while (now() < endMs) {
        const sentMs = now();
        const { allowed } = await absolute.inc("key", rate);
        if (allowed) admitted.push([sentMs, now()]);
      }
    }
    await Promise.all(Array.from({ length: 25 }, callAndCall));
    close();
    console.log(JSON.stringify(admitted));
  `;
}

it(`${PROCESSES} processes with both clients are never admitted more than the capacity in any window`, async () => {
  const scripts = Array.from({ length: PROCESSES }, (_, i) => hammer(connections[i % connections.length]!));
  const outputs = await Promise.all(scripts.map((script) => runScript(script)));
  const calls: [sentMs: number, answeredMs: number][] = outputs.flatMap(({ stdout }) => JSON.parse(stdout));
  expect(calls.length).toBeGreaterThan(CAPACITY);
  // A call was counted somewhere between the two times, so those with both in a window are certainly in it.
  const bySent = calls.toSorted(([a], [b]) => a - b);
  let most = 0;
  for (const [index, [startMs]] of bySent.entries()) {
    const endMs = startMs + WINDOW_MS - CLOCKS_APART_MS;
    let within = 0;
    for (let i = index; i < bySent.length && bySent[i]![0] <= endMs; i++) if (bySent[i]![1] <= endMs) within++;
    most = Math.max(most, within);
  }
  expect(most).toBeLessThanOrEqual(CAPACITY);
  // The measure would see it: nearly the whole capacity was within some window.
  expect(most).toBeGreaterThan(CAPACITY * 0.5);
});
