// A process of a fleet: says when it is ready, is told when to begin, offers calls to a hybrid provider at random
// times, and prints each with when it was made and when it was admitted, or "-".

import { text } from "node:stream/consumers";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { type MemberOptions, nextCallMs, nextKey, machineMs as now } from "./fleet.ts";

const options: MemberOptions = JSON.parse(process.argv[2]!);

const client =
  options.client === "ioredis"
    ? new Redis(options.port)
    : await createClient({ socket: { port: options.port }, commandOptions: { timeout: 0 } }).connect();
const { prefix, windowMs, bucketMs = Math.min(100, windowMs) } = options;
const provider = createHybridProvider(client, { prefix, windowMs, bucketMs, timeoutMs: 5_000 });
const limiter = provider[options.strategy];
const rate = perSecond(options.ratePerSecond);
const counts = { calls: 0, promises: 0 };

const lines: string[] = [];
function note(admitted: boolean, madeMs: number, key: string): void {
  lines.push(`${madeMs} ${admitted ? now() : "-"} ${key}`);
}

function call(): void {
  const key = nextKey(options);
  const madeMs = now();
  const decision = limiter.inc(key, rate);
  counts.calls++;
  if (decision instanceof Promise) {
    counts.promises++;
    decision.then(({ allowed }) => note(allowed, madeMs, key));
  } else {
    note(decision.allowed, madeMs, key);
  }
}

process.stdout.write("ready\n");
const startMs = Number(await text(process.stdin));
const endMs = startMs + options.seconds * 1_000;
let nextMs = startMs;
await new Promise<void>((resolve) => {
  function offer(): void {
    while (nextMs <= now()) {
      call();
      nextMs = nextCallMs(options, nextMs, startMs);
    }
    if (lines.length > 0) process.stdout.write(`${lines.splice(0).join("\n")}\n`);
    if (now() < endMs) setTimeout(offer, 1);
    else resolve();
  }
  setTimeout(offer, startMs - now());
});
await provider.close();
if (lines.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
process.stdout.write(`end ${JSON.stringify(counts)}\n`);
if (client instanceof Redis) client.disconnect();
else client.destroy();
