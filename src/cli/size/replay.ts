// Replays a log through the library, on the log's own time: how much each client used in its busiest window, and what
// limits would have denied. It goes client by client, and all clients have one key, which is forgotten between them.
// So memory doesn't grow with the keys, and the state of the one key stays in the processor's cache.

import { perSecond, type Rate } from "../../core/rate.ts";
import type { Decision } from "../../core/types.ts";
import { createLocalProvider, type LocalProvider } from "../../local/provider.ts";
import { type ManualClock, manualClock } from "../../testing/clock.ts";
import { seededRandom } from "../../testing/random.ts";
import type { RequestReader, Spool } from "./spool.ts";

export interface SizedWindow {
  readonly windowMs: number;
  /** As docs/sizing.md advises. */
  readonly bucketMs: number;
}

export const WINDOWS: readonly SizedWindow[] = [
  { windowMs: 1_000, bucketMs: 10 },
  { windowMs: 60_000, bucketMs: 100 },
  { windowMs: 3_600_000, bucketMs: 10_000 },
  { windowMs: 86_400_000, bucketMs: 60_000 },
];

/** No log has as much: its total in a window can be told by how much of such a capacity is left. */
const VAST = 2 ** 52;
const KEY = "client";
/** From this time on, in ms, fractions of a ms would be lost. It comes after 139 years. */
const LATEST_MS = 2 ** 42;

/** What one limit would have denied under one strategy. */
export interface Denials {
  readonly requests: number;
  readonly cost: number;
  /** By the numbers of the clients, how many requests of each. */
  readonly ofClients: Uint32Array;
}

/** A limit that was tried. */
export interface Trial {
  readonly limit: number;
  readonly absolute: Denials;
  readonly suppressed: Denials;
}

type Progress = (share: number) => void;
type Strategy = "absolute" | "suppressed";

/**
 * A limiter, and virtual time for it. Always holds: its time only moves forward, also from one client to the next, and
 * differs from that of the log by a whole number of buckets.
 */
class Lane {
  readonly #window: SizedWindow;
  readonly #strategy: Strategy;
  readonly #rate: Rate;
  readonly #names: readonly string[];
  #random = seededRandom(1);
  #clock!: ManualClock;
  #limiter!: Pick<LocalProvider["absolute"], "inc" | "delete">;
  #client = -1;
  #nowMs = 0;
  #offsetMs = 0;

  /** @param names of the clients: each has its own draws, so that the order of the logs changes nothing */
  constructor(window: SizedWindow, limit: number, strategy: Strategy = "absolute", names: readonly string[] = []) {
    this.#names = names;
    this.#window = window;
    this.#strategy = strategy;
    this.#rate = perSecond(limit / (window.windowMs / 1_000));
    this.#begin();
  }

  /** Decides about a request, which is later than those of the same client before it. */
  inc(timeMs: number, client: number, cost: number): Decision {
    if (client !== this.#client) this.#turnTo(client, timeMs);
    this.#nowMs = timeMs + this.#offsetMs;
    this.#clock.set(this.#nowMs);
    return this.#limiter.inc(KEY, this.#rate, cost);
  }

  /** What is used after a request, where nothing is ever denied. */
  used(timeMs: number, client: number, cost: number): number {
    const { limit, remaining } = this.inc(timeMs, client, cost);
    return limit - remaining;
  }

  #turnTo(client: number, timeMs: number): void {
    this.#client = client;
    this.#random = seededRandom(seedOf(this.#names[client] ?? ""));
    if (this.#nowMs > LATEST_MS) this.#begin();
    this.#limiter.delete(KEY);
    const { bucketMs } = this.#window;
    this.#offsetMs = Math.ceil((this.#nowMs - timeMs) / bucketMs) * bucketMs;
  }

  #begin(): void {
    this.#nowMs = 0;
    this.#clock = manualClock();
    const options = {
      ...this.#window,
      clock: this.#clock,
      random: () => this.#random(),
      maxKeys: 1,
      cleanup: false,
    } as const;
    this.#limiter = createLocalProvider(options)[this.#strategy];
  }
}

/** A hash of a name, FNV-1a. */
function seedOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The most that all clients together had in each of the windows. Also tells each request to `tell`. */
export async function measureTogether(byTime: Spool, tell: RequestReader, onProgress?: Progress): Promise<number[]> {
  const lanes = WINDOWS.map((window) => new Lane(window, VAST));
  const peaks = WINDOWS.map(() => 0);
  await byTime.read((timeMs, client, cost) => {
    for (const [index, lane] of lanes.entries()) peaks[index] = Math.max(peaks[index]!, lane.used(timeMs, 0, cost));
    tell(timeMs, client, cost);
  }, onProgress);
  return peaks;
}

/** The most that each client had in a window, by the numbers of the clients. */
export async function measurePeaks(
  byClient: Spool,
  clientCount: number,
  window: SizedWindow,
  onProgress?: Progress,
): Promise<Float64Array> {
  const lane = new Lane(window, VAST);
  const peaks = new Float64Array(clientCount);
  await byClient.read((timeMs, client, cost) => {
    const used = lane.used(timeMs, client, cost);
    if (used > peaks[client]!) peaks[client] = used;
  }, onProgress);
  return peaks;
}

/**
 * Tries limits. A client whose busiest window is within a limit is never denied by it, under either strategy, so only
 * the requests of the others are replayed.
 *
 * @param limits whole numbers from 1 on
 * @returns from the lowest limit on
 */
export async function tryLimits(
  { byClient, names, peaks }: { byClient: Spool; names: readonly string[]; peaks: Float64Array },
  window: SizedWindow,
  limits: readonly number[],
  onProgress?: Progress,
): Promise<Trial[]> {
  const ascending = [...new Set(limits)].sort((one, other) => one - other);
  const trials = ascending.map((limit) => ({
    limit,
    absolute: new Attempt(new Lane(window, limit, "absolute", names), peaks.length),
    suppressed: new Attempt(new Lane(window, limit, "suppressed", names), peaks.length),
  }));
  await byClient.read((timeMs, client, cost) => {
    const peak = peaks[client]!;
    for (const { limit, absolute, suppressed } of trials) {
      if (limit >= peak) return;
      absolute.ask(timeMs, client, cost);
      suppressed.ask(timeMs, client, cost);
    }
  }, onProgress);
  return trials;
}

class Attempt implements Denials {
  requests = 0;
  cost = 0;
  readonly ofClients: Uint32Array;
  readonly #lane: Lane;

  constructor(lane: Lane, clientCount: number) {
    this.#lane = lane;
    this.ofClients = new Uint32Array(clientCount);
  }

  ask(timeMs: number, client: number, cost: number): void {
    if (this.#lane.inc(timeMs, client, cost).allowed) return;
    this.requests++;
    this.cost += cost;
    this.ofClients[client]!++;
  }
}
