// Fleets of real processes with hybrid providers.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
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
}

export interface MemberOptions extends Load {
  readonly port: number;
  readonly prefix: string;
  readonly client: "ioredis" | "node-redis";
  /** When to begin, in ms since 1970. */
  readonly startMs: number;
}

/** The time of the next call after one at `timeMs`. */
export function nextCallMs({ offeredPerSecond }: Load, timeMs: number): number {
  return timeMs - (Math.log(1 - Math.random()) * 1_000) / offeredPerSecond;
}

export function nextKey({ keys, skew }: Load): string {
  return `key-${Math.floor(keys * Math.random() ** skew)}`;
}

/** A call that was admitted at some time from when it was made to when it was answered. */
export interface Admission {
  readonly madeMs: number;
  readonly answeredMs: number;
  readonly key: string;
}

/** One process. */
export class Member {
  readonly admitted: Admission[] = [];
  readonly counts = { calls: 0, promises: 0 };
  /** When it has ended, by itself or not. */
  readonly ended: Promise<unknown>;
  readonly #process: ChildProcess;

  constructor(options: MemberOptions) {
    const program = join(ROOT, ".build", "test", "support", "fleet-member.js");
    this.#process = spawn(process.execPath, [program, JSON.stringify(options)], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.ended = once(this.#process, "close");
    createInterface(this.#process.stdout!).on("line", (line) => {
      const [first, second, key] = line.split(" ") as [string, string, string];
      if (first === "end") Object.assign(this.counts, JSON.parse(second));
      else if (key !== undefined) this.admitted.push({ madeMs: Number(first), answeredMs: Number(second), key });
    });
  }

  /** As a crash does. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

/** For the processes to start and connect. */
const LEAD_MS = 2_000;

let fleets = 0;

export interface Fleet {
  readonly members: readonly Member[];
  readonly prefix: string;
  /** When it begins, in ms since 1970. */
  readonly startMs: number;
}

/** What a process has for itself. */
export type Own = Partial<Pick<Load, "seconds">> & { readonly startsLaterMs?: number };

/** `count` processes, with both clients in turn, that share the load on the Redis at `port`. */
export function startFleet(port: number, count: number, load: Load, own: readonly Own[] = []): Fleet {
  const startMs = Date.now() + LEAD_MS;
  const prefix = `fleet-${++fleets}`;
  const members = Array.from({ length: count }, (_, i) => {
    const { startsLaterMs = 0, ...others } = own[i] ?? {};
    return new Member({
      ...load,
      offeredPerSecond: load.offeredPerSecond / count,
      port,
      prefix,
      client: i % 2 === 0 ? "ioredis" : "node-redis",
      startMs: startMs + startsLaterMs,
      ...others,
    });
  });
  return { members, prefix, startMs };
}

/** What all of them admitted, in no order. */
export function admittedBy(members: readonly Member[]): Admission[] {
  return members.flatMap(({ admitted }) => admitted);
}

/** When calls of each key were answered. */
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
