// What a key takes beyond its own string, and what each further bucket of it takes: run with the
// name of a subject, and sends the bytes.

import { setImmediate } from "node:timers/promises";
import { MemoryStore, type Options } from "express-rate-limit";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { createLocalProvider, perHour, perSecond } from "trypema";
import { makeKeys } from "./workloads.ts";

interface Subject {
  readonly items: number;
  /** Makes the items; holds the limiter as long as it is held itself. */
  readonly fill: () => unknown;
}

const HOUR = { windowMs: 3_600_000, bucketMs: 10 };
const KEYS = 1_000_000;
const BUCKETED_KEYS = 10_000;
const BUCKETS = 1_000;

const subjects: Record<string, (keys: readonly string[]) => Subject> = {
  absolute(keys) {
    const { absolute } = createLocalProvider(HOUR);
    return { items: KEYS, fill: () => callEach(keys, (key) => absolute.inc(key, perSecond(1))) };
  },

  suppressed(keys) {
    const { suppressed } = createLocalProvider(HOUR);
    return { items: KEYS, fill: () => callEach(keys, (key) => suppressed.inc(key, perSecond(1))) };
  },

  "suppressed, over the limit"(keys) {
    const { suppressed } = createLocalProvider(HOUR);
    return { items: KEYS, fill: () => callEach(keys, (key) => suppressed.inc(key, perHour(1), 2)) };
  },

  "a further bucket"(keys) {
    let nowMs = 0;
    const { absolute } = createLocalProvider({ ...HOUR, clock: () => nowMs });
    const bucketed = keys.slice(0, BUCKETED_KEYS);
    const hitEach = () => callEach(bucketed, (key) => absolute.inc(key, perSecond(1)));
    hitEach();
    const fill = () => {
      for (let bucket = 0; bucket < BUCKETS; bucket++) {
        nowMs += HOUR.bucketMs;
        hitEach();
      }
    };
    return { items: BUCKETED_KEYS * BUCKETS, fill };
  },

  "express-rate-limit MemoryStore"(keys) {
    const store = new MemoryStore();
    store.init({ windowMs: HOUR.windowMs } as Options);
    return { items: KEYS, fill: () => Promise.all(keys.map((key) => store.increment(key))) };
  },

  "rate-limiter-flexible"(keys) {
    const limiter = new RateLimiterMemory({ points: 10, duration: HOUR.windowMs / 1_000 });
    return { items: KEYS, fill: () => Promise.all(keys.map((key) => limiter.consume(key))) };
  },
};

function callEach(keys: readonly string[], call: (key: string) => unknown): void {
  for (const key of keys) call(key);
}

async function usedBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await setImmediate();
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const keys = makeKeys(KEYS);
const subject = subjects[process.argv[2]!]!(keys);
const before = await usedBytes();
await subject.fill();
const after = await usedBytes();
process.send?.((after - before) / subject.items);
