// Replays a log through the library, on the log's own time: how much each client used in its busiest window, and what
// limits would have denied. It goes client by client, and all clients have one key. Between them a window passes, after
// which nothing of the client before counts. So memory doesn't grow with the keys, and the state of the one key stays
// in the processor's cache.

import { perSecond, type Rate } from "../../core/rate.ts";
import type { Decision } from "../../core/types.ts";
import { createLocalProvider, type LocalProvider } from "../../local/provider.ts";
import { type ManualClock, manualClock } from "../../testing/clock.ts";
import { seededRandom } from "../../testing/random.ts";
import { type Piece, Spells } from "./spells.ts";
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
 * A limiter, and virtual time for it. Always holds: its time only moves forward, from one client to the next by a
 * window or more, and differs from that of the log by a whole number of buckets.
 */
class Lane {
  readonly #window: SizedWindow;
  readonly #strategy: Strategy;
  readonly #rate: Rate;
  readonly #names: readonly string[];
  #random = seededRandom(1);
  #clock!: ManualClock;
  #limiter!: Pick<LocalProvider["absolute"], "inc">;
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
    const { windowMs, bucketMs } = this.#window;
    this.#offsetMs = Math.ceil((this.#nowMs + windowMs - timeMs) / bucketMs) * bucketMs;
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
  const peaks = WINDOWS.map(() => new Float64Array(1));
  const spells = WINDOWS.map((window, index) => measuring(window, peaks[index]!));
  await byTime.read((timeMs, client, cost) => {
    for (const one of spells) one.add(timeMs, 0, cost);
    tell(timeMs, client, cost);
  }, onProgress);
  for (const one of spells) one.end();
  return peaks.map(([peak]) => peak!);
}

/** The most that each client had in a window, by the numbers of the clients. */
export async function measurePeaks(
  byClient: Spool,
  clientCount: number,
  window: SizedWindow,
  onProgress?: Progress,
): Promise<Float64Array> {
  const peaks = new Float64Array(clientCount);
  const spells = measuring(window, peaks);
  await byClient.read((timeMs, client, cost) => spells.add(timeMs, client, cost), onProgress);
  spells.end();
  return peaks;
}

/**
 * Raises the peaks of the clients. A spell in which a client can't use more than before isn't replayed, and neither is
 * one of a single request, which uses what it costs.
 */
function measuring(window: SizedWindow, peaks: Float64Array): Spells {
  const lane = new Lane(window, VAST);
  const measure = ({ client, most, length, times, costs }: Piece) => {
    if (most <= peaks[client]!) return;
    if (length === 1 && Number.isFinite(most)) {
      peaks[client] = most;
      return;
    }
    for (let i = 0; i < length; i++) {
      const used = lane.used(times[i]!, client, costs[i]!);
      if (used > peaks[client]!) peaks[client] = used;
    }
  };
  return new Spells(window.windowMs, measure, true);
}

/**
 * Tries limits. A spell in which a client can't use more than a limit is never denied by it, under either strategy, so
 * only the others are replayed.
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
  const spells = new Spells(window.windowMs, (piece) => {
    const most = Math.min(piece.most, peaks[piece.client]!);
    for (const { limit, absolute, suppressed } of trials) {
      if (limit >= most) return;
      absolute.ask(piece);
      suppressed.ask(piece);
    }
  });
  await byClient.read((timeMs, client, cost) => spells.add(timeMs, client, cost), onProgress);
  spells.end();
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

  ask({ client, length, times, costs }: Piece): void {
    for (let i = 0; i < length; i++) {
      const cost = costs[i]!;
      if (this.#lane.inc(times[i]!, client, cost).allowed) continue;
      this.requests++;
      this.cost += cost;
      this.ofClients[client]!++;
    }
  }
}
