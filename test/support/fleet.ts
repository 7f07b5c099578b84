// Fleets of real processes with hybrid providers.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createLocalProvider, perSecond } from "trypema";
import { manualClock } from "trypema/testing";
import { ROOT } from "./process.ts";

/** Calls at random times. */
export interface Load {
  readonly strategy: "absolute" | "suppressed";
  readonly windowMs: number;
  readonly ratePerSecond: number;
  readonly offeredPerSecond: number;
  readonly keys: number;
  /** 1 if all keys are called for alike; the more it is, the more of the calls the first ones get. */
  readonly skew: number;
  readonly seconds: number;
  readonly bucketMs?: number;
  /** For so long at first a fifth of the calls is offered, so that a window's hits are spread over it. */
  readonly calmMs?: number;
}

const CALM_PART = 5;

export interface MemberOptions extends Load {
  readonly port: number;
  readonly prefix: string;
  readonly client: "ioredis" | "node-redis";
}

/** The time of the next call after one at `timeMs`, of a load that began at `startMs`. */
export function nextCallMs({ offeredPerSecond, calmMs = 0 }: Load, timeMs: number, startMs: number): number {
  const perSecond = timeMs < startMs + calmMs ? offeredPerSecond / CALM_PART : offeredPerSecond;
  return timeMs - (Math.log(1 - Math.random()) * 1_000) / perSecond;
}

export function nextKey({ keys, skew }: Load): string {
  return `key-${Math.floor(keys * Math.random() ** skew)}`;
}

export interface Call {
  readonly madeMs: number;
  readonly key: string;
}

/** A call that was admitted at some time from when it was made to when it was answered. */
export interface Admission extends Call {
  readonly answeredMs: number;
}

/** One process. */
export class Member {
  readonly calls: Call[] = [];
  readonly admitted: Admission[] = [];
  readonly counts = { calls: 0, promises: 0 };
  /** When it is connected, and waits to be told when to begin. Rejects when it ends before. */
  readonly ready: Promise<unknown>;
  /** When it has ended, by itself or not. */
  readonly ended: Promise<unknown>;
  readonly #process: ChildProcess;

  constructor(options: MemberOptions) {
    const program = join(ROOT, ".build", "test", "support", "fleet-member.js");
    this.#process = spawn(process.execPath, [program, JSON.stringify(options)], {
      cwd: ROOT,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.ended = once(this.#process, "close");
    const lines = createInterface(this.#process.stdout!);
    const failed = this.ended.then(() => Promise.reject(new Error("a process of the fleet ended early")));
    this.ready = Promise.race([once(lines, "line"), failed]);
    lines.on("line", (line) => this.#hear(line));
  }

  /** @param startMs when to begin, by `machineMs` */
  begin(startMs: number): void {
    this.#process.stdin!.end(`${startMs}\n`);
  }

  /** As a crash does. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }

  #hear(line: string): void {
    const [first, second, key] = line.split(" ") as [string, string, string];
    if (first === "end") Object.assign(this.counts, JSON.parse(second));
    if (key === undefined) return;
    const call = { madeMs: Number(first), key };
    this.calls.push(call);
    if (second !== "-") this.admitted.push({ ...call, answeredMs: Number(second) });
  }
}

/**
 * A clock that all processes of a machine have. `performance.timeOrigin` isn't: a process that is held up at its start
 * has a wrong one.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** For all to hear when to begin. */
const LEAD_MS = 100;

let fleets = 0;

export interface Fleet {
  readonly members: readonly Member[];
  readonly prefix: string;
  /** When it begins, by `machineMs`. */
  readonly startMs: number;
}

/** What a process has for itself. */
export type Own = Partial<Pick<Load, "seconds">> & { readonly startsLaterMs?: number };

/** `count` processes, with both clients in turn, that share the load on the Redis at `port`. They begin together. */
export async function startFleet(port: number, count: number, load: Load, own: readonly Own[] = []): Promise<Fleet> {
  const prefix = `fleet-${++fleets}`;
  const members = Array.from({ length: count }, (_, i) => {
    const { startsLaterMs: _later, ...others } = own[i] ?? {};
    return new Member({
      ...load,
      offeredPerSecond: load.offeredPerSecond / count,
      port,
      prefix,
      client: i % 2 === 0 ? "ioredis" : "node-redis",
      ...others,
    });
  });
  await Promise.all(members.map(({ ready }) => ready));
  const startMs = machineMs() + LEAD_MS;
  for (const [i, member] of members.entries()) member.begin(startMs + (own[i]?.startsLaterMs ?? 0));
  return { members, prefix, startMs };
}

/** What one Local provider would admit of the calls that they made. */
export function admittedLocally(members: readonly Member[], load: Load): Admission[] {
  const { strategy, windowMs, bucketMs = Math.min(100, windowMs), ratePerSecond } = load;
  const clock = manualClock();
  const limiter = createLocalProvider({ windowMs, bucketMs, clock, cleanup: false })[strategy];
  const rate = perSecond(ratePerSecond);
  const calls = members.flatMap((member) => member.calls).toSorted((a, b) => a.madeMs - b.madeMs);
  let lastMs = calls[0]?.madeMs ?? 0;
  const admitted: Admission[] = [];
  for (const call of calls) {
    clock.advance(call.madeMs - lastMs);
    lastMs = call.madeMs;
    if (limiter.inc(call.key, rate).allowed) admitted.push({ ...call, answeredMs: call.madeMs });
  }
  return admitted;
}

/** What all of them admitted, in no order. */
export function admittedBy(members: readonly Member[]): Admission[] {
  return members.flatMap(({ admitted }) => admitted);
}

/** When the admitted calls of each key were answered. */
export function timesByKey(all: readonly Admission[]): number[][] {
  return groupByKey(all).map((ofKey) => ofKey.map(({ answeredMs }) => answeredMs));
}

/** What was admitted of each key. */
export function groupByKey(all: readonly Admission[]): Admission[][] {
  const groups = new Map<string, Admission[]>();
  for (const admission of all) {
    const group = groups.get(admission.key);
    if (group === undefined) groups.set(admission.key, [admission]);
    else group.push(admission);
  }
  return [...groups.values()];
}

/** The most that were admitted within `spanMs` for certain, if none took that long. */
export function mostWithin(admitted: readonly Admission[], spanMs: number): number {
  const made = Float64Array.from(admitted, ({ madeMs }) => madeMs).sort();
  const answered = Float64Array.from(admitted, ({ answeredMs }) => answeredMs).sort();
  let most = 0;
  let end = 0;
  // Those that were answered before the end of a span, without those that were made before its start.
  for (const [before, startMs] of made.entries()) {
    while (end < answered.length && answered[end]! < startMs + spanMs) end++;
    most = Math.max(most, end - before);
  }
  return most;
}

/**
 * How many of a key's `times` are in a second from `fromMs` to `toMs`: the mean, and the coefficient of variation from
 * one second to another.
 */
export function smoothness(
  times: readonly (readonly number[])[],
  fromMs: number,
  toMs: number,
): { mean: number; cv: number } {
  const seconds = Math.floor((toMs - fromMs) / 1_000);
  let sum = 0;
  let squares = 0;
  for (const ofKey of times) {
    const counts = new Array<number>(seconds).fill(0);
    for (const timeMs of ofKey) {
      const second = Math.floor((timeMs - fromMs) / 1_000);
      if (second >= 0 && second < seconds) counts[second]!++;
    }
    const mean = counts.reduce((total, count) => total + count, 0) / seconds;
    sum += mean;
    squares += counts.reduce((total, count) => total + (count - mean) ** 2, 0) / seconds;
  }
  const mean = sum / times.length;
  return { mean, cv: Math.sqrt(squares / times.length) / mean };
}
