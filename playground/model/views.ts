// What is drawn of a run: pure readings of its answers, as tables and numbers.

import { type Answer, keyOf, type LimitName, type Run, type Simulation } from "./simulation.ts";

export interface Second {
  readonly offered: number;
  readonly admitted: number;
}

/** The answers to the calls that are limited together with those of the client on show. */
function answersOnShow({ settings }: Simulation, run: Run): readonly Answer[] {
  if (settings.limit === "together") return run.answers;
  return run.answers.filter(({ client }) => client === settings.client);
}

/** Calls offered and admitted in each second. */
export function secondsOf(simulation: Simulation, run: Run): Second[] {
  const seconds = Array.from({ length: simulation.load.seconds }, () => ({ offered: 0, admitted: 0 }));
  for (const { ms, allowed } of answersOnShow(simulation, run)) {
    const second = seconds[Math.floor(ms / 1_000)];
    if (second === undefined) continue;
    second.offered++;
    if (allowed) second.admitted++;
  }
  return seconds;
}

/** The suppression factor at each frame. */
export function factorsOf({ settings }: Simulation, run: Run): number[] {
  return run.frames[keyOf(settings.client, settings)]!.map(({ suppressionFactor }) => suppressionFactor);
}

export interface LiveBucket {
  /** Where its cell of the grid begins. */
  readonly startMs: number;
  readonly accepted: number;
  readonly declined: number;
}

/**
 * The buckets that are live at a time, oldest first, by the rule of the library: hits in one cell of the grid
 * share a bucket, which lives until a window after the newest of them; the absolute strategy records no denial.
 */
export function liveBuckets(simulation: Simulation, run: Run, nowMs: number): LiveBucket[] {
  const { settings } = simulation;
  const { windowMs, bucketMs } = settings;
  const cells = new Map<number, { accepted: number; declined: number; newestMs: number }>();
  // What is older than this shares a bucket with nothing that is live.
  for (let i = firstFrom(run.answers, nowMs - windowMs - bucketMs); i < run.answers.length; i++) {
    const { ms, client, allowed } = run.answers[i]!;
    if (ms > nowMs) break;
    if (keyOf(client, settings) !== keyOf(settings.client, settings)) continue;
    if (!allowed && run.strategy === "absolute") continue;
    const cell = Math.floor(ms / bucketMs);
    const bucket = cells.get(cell) ?? { accepted: 0, declined: 0, newestMs: ms };
    bucket[allowed ? "accepted" : "declined"]++;
    bucket.newestMs = ms;
    cells.set(cell, bucket);
  }
  return [...cells]
    .filter(([, { newestMs }]) => newestMs + windowMs > nowMs)
    .map(([cell, { accepted, declined }]) => ({ startMs: cell * bucketMs, accepted, declined }));
}

/** The index of the first answer at `ms` or later. */
function firstFrom(answers: readonly Answer[], ms: number): number {
  let low = 0;
  let high = answers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (answers[middle]!.ms < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The answers that the client on show got. */
export function fateOf({ settings }: Simulation, run: Run): Answer[] {
  return run.answers.filter(({ client }) => client === settings.client);
}

/** How many of the calls on show each limit has denied. */
export function denialsOf(simulation: Simulation, run: Run): Record<LimitName, number> {
  const denials = { first: 0, second: 0 };
  for (const { deniedBy } of answersOnShow(simulation, run)) if (deniedBy !== undefined) denials[deniedBy]++;
  return denials;
}

export interface Totals {
  readonly offered: number;
  readonly admitted: number;
  /** Of the second half of the run, when the burst into an empty window has faded: the mean over the limit. */
  readonly meanOverLimit: number;
  /** The same half: the deviation of what is admitted in a second, over its mean. */
  readonly variation: number;
}

export function totalsOf(simulation: Simulation, run: Run): Totals {
  const seconds = secondsOf(simulation, run);
  const admitted = seconds.map((second) => second.admitted);
  const settled = admitted.slice(Math.floor(admitted.length / 2));
  const mean = sum(settled) / settled.length;
  const variance = sum(settled.map((count) => (count - mean) ** 2)) / settled.length;
  return {
    offered: sum(seconds.map((second) => second.offered)),
    admitted: sum(admitted),
    meanOverLimit: mean / simulation.settings.ratePerSecond,
    variation: mean === 0 ? 0 : Math.sqrt(variance) / mean,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
