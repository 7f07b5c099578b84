// A process of a fleet: offers calls to a hybrid provider at random times, and prints those that are admitted.

import { Redis } from "ioredis";
import { createClient } from "redis";
import { perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { type MemberOptions, nextCallMs, nextKey } from "./fleet.ts";

const options: MemberOptions = JSON.parse(process.argv[2]!);
const now = () => performance.timeOrigin + performance.now();

const client =
  options.client === "ioredis"
    ? new Redis(options.port)
    : await createClient({ socket: { port: options.port }, commandOptions: { timeout: 0 } }).connect();
const provider = createHybridProvider(client, { prefix: options.prefix, windowMs: options.windowMs, timeoutMs: 5_000 });
const limiter = provider[options.strategy];
const rate = perSecond(options.ratePerSecond);
const counts = { calls: 0, promises: 0 };

const lines: string[] = [];
function note(admitted: boolean, madeMs: number, key: string): void {
  if (admitted) lines.push(`${madeMs} ${now()} ${key}`);
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

const endMs = options.startMs + options.seconds * 1_000;
let nextMs = options.startMs;
await new Promise<void>((resolve) => {
  function offer(): void {
    while (nextMs <= now()) {
      call();
      nextMs = nextCallMs(options, nextMs);
    }
    if (lines.length > 0) process.stdout.write(`${lines.splice(0).join("\n")}\n`);
    if (now() < endMs) setTimeout(offer, 1);
    else resolve();
  }
  setTimeout(offer, options.startMs - now());
});
await provider.close();
if (lines.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
process.stdout.write(`end ${JSON.stringify(counts)}\n`);
if (client instanceof Redis) client.disconnect();
else client.destroy();
