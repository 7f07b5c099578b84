// Fleets of real processes with hybrid providers.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { ROOT } from "./process.ts";

export interface MemberOptions {
  readonly port: number;
  readonly prefix: string;
  readonly client: "ioredis" | "node-redis";
  readonly strategy: "absolute" | "suppressed";
  readonly windowMs: number;
  readonly ratePerSecond: number;
  readonly offeredPerSecond: number;
  readonly keys: number;
  /** When to begin, in ms since 1970, and for how long. */
  readonly startMs: number;
  readonly seconds: number;
}

export interface Admission {
  readonly timeMs: number;
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
      const [first, second] = line.split(" ") as [string, string];
      if (first === "end") Object.assign(this.counts, JSON.parse(second));
      else if (second !== undefined) this.admitted.push({ timeMs: Number(first), key: second });
    });
  }

  /** As a crash does. */
  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

/** The times of what was admitted, key by key, in order. */
export function timesByKey(members: readonly Member[]): number[][] {
  const all = members.flatMap(({ admitted }) => admitted).toSorted((a, b) => a.timeMs - b.timeMs);
  const byKey = new Map<string, number[]>();
  for (const { key, timeMs } of all) {
    const times = byKey.get(key);
    if (times === undefined) byKey.set(key, [timeMs]);
    else times.push(timeMs);
  }
  return [...byKey.values()];
}

/** The most of `times`, which are in order, that are within `spanMs`. */
export function mostWithin(times: readonly number[], spanMs: number): number {
  let most = 0;
  let start = 0;
  for (const [end, timeMs] of times.entries()) {
    while (timeMs - times[start]! >= spanMs) start++;
    most = Math.max(most, end - start + 1);
  }
  return most;
}

/** How many of `times` are in each second from `fromMs` to `toMs`: their mean, and their coefficient of variation. */
export function smoothness(times: readonly number[], fromMs: number, toMs: number): { mean: number; cv: number } {
  const counts = Array.from({ length: Math.floor((toMs - fromMs) / 1_000) }, () => 0);
  for (const timeMs of times) {
    const second = Math.floor((timeMs - fromMs) / 1_000);
    if (second >= 0 && second < counts.length) counts[second]!++;
  }
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
  return { mean, cv: Math.sqrt(variance) / mean };
}
