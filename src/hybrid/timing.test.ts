import { expect, it } from "vitest";
import { timingOf } from "./timing.ts";

const OPTIONS = { windowMs: 60_000, bucketMs: 100, timeoutMs: 200, syncIntervalMs: 10 };

it.each([
  ["a tenth of the window", {}, 6_000],
  ["a second at least", { windowMs: 2_000 }, 1_000],
  ["ten seconds at most", { windowMs: 86_400_000 }, 10_000],
  ["twice the timeout, where that is longer", { timeoutMs: 30_000 }, 60_000],
])("a lease may be spent for %s, and Redis counts it for 50 ms longer", (_, options, leaseMs) => {
  const { syncIntervalMs, ...others } = { ...OPTIONS, ...options };
  expect(timingOf(others, syncIntervalMs)).toMatchObject({ leaseMs, setAsideMs: leaseMs + 50 });
});

it.each([
  ["five rounds, or half of the lease's time", {}, 50, 3_000],
  ["five rounds, where these are longer than half of the lease's time", { syncIntervalMs: 1_000 }, 5_000, 5_000],
])("an unspent lease is kept for %s", (_, options, shortHorizonMs, longHorizonMs) => {
  const { syncIntervalMs, ...others } = { ...OPTIONS, ...options };
  expect(timingOf(others, syncIntervalMs)).toMatchObject({ shortHorizonMs, longHorizonMs });
});

it.each([
  ["a 200th of the window", {}, 300],
  ["a second at most", { windowMs: 86_400_000 }, 1_000],
  ["32 buckets at most", { bucketMs: 1 }, 32],
])("a report may wait for %s", (_, options, lingerMs) => {
  const { syncIntervalMs, ...others } = { ...OPTIONS, ...options };
  expect(timingOf(others, syncIntervalMs).lingerMs).toBe(lingerMs);
});
