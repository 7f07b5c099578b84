// How long the background sweep of a million keys holds up the program at a stretch: run with "stale"
// or "live" keys, or with "none", where a loop that does nothing shows what the machine alone does.

import { setTimeout as sleep } from "node:timers/promises";
import { createLocalProvider, perSecond } from "trypema";
import { makeKeys } from "./workloads.ts";

const KEYS = 1_000_000;
const STALE_AFTER_MS = 10_000;
const INTERVAL_MS = 5_000;
const IDLE_STRETCHES = 500;

export interface Sweep {
  readonly longestStretchMs: number;
  readonly stretches: number;
}

let longestStretchMs = 0;
let stretches = 0;

function measure(run: () => void): void {
  const startMs = performance.now();
  run();
  longestStretchMs = Math.max(longestStretchMs, performance.now() - startMs);
  stretches++;
}

async function sweep(stale: boolean): Promise<void> {
  const setTimeoutItself = globalThis.setTimeout;
  globalThis.setTimeout = ((run: () => void, delayMs: number) =>
    setTimeoutItself(() => measure(run), delayMs)) as typeof setTimeout;
  let nowMs = 0;
  const provider = createLocalProvider({
    windowMs: STALE_AFTER_MS,
    cleanup: { intervalMs: INTERVAL_MS },
    clock: () => nowMs,
  });
  for (const key of makeKeys(KEYS)) provider.absolute.inc(key, perSecond(1));
  if (stale) nowMs += STALE_AFTER_MS;
  await sleep(INTERVAL_MS * 1.8);
  // The timer of a sweep doesn't keep a provider alive, so what is used here does.
  provider.close();
}

async function doNothing(): Promise<void> {
  for (let stretch = 0; stretch < IDLE_STRETCHES; stretch++) {
    measure(() => {
      const endMs = performance.now() + 1;
      while (performance.now() < endMs);
    });
    await sleep(1);
  }
}

const [keys] = process.argv.slice(2);
await (keys === "none" ? doNothing() : sweep(keys === "stale"));
process.send?.({ longestStretchMs, stretches } satisfies Sweep);
