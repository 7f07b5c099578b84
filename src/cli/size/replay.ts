// Replays a log through the library, on the log's own time: how much each client used in its busiest window, and what
// limits would have denied.

import { perSecond, type Rate } from "../../core/rate.ts";
import { createLocalProvider, type LocalProvider } from "../../local/provider.ts";
import { type ManualClock, manualClock } from "../../testing/clock.ts";
import { seededRandom } from "../../testing/random.ts";
import type { Spool } from "./spool.ts";

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
/** The key of all clients together. It is in a provider of its own, so a client may have this name too. */
const ALL = "all";

export interface Peaks {
  /** By the numbers of the clients, the most that each had in a window. */
  readonly ofClients: Float64Array;
  readonly ofAll: number;
}

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

export function rateFor(limit: number, { windowMs }: SizedWindow): Rate {
  return perSecond(limit / (windowMs / 1_000));
}

/** Virtual time, and a provider that forgets nothing: it has no more keys than the log has clients. */
function providerOn(clock: ManualClock, window: SizedWindow, clientCount: number): LocalProvider {
  const maxKeys = Math.max(1, clientCount);
  return createLocalProvider({ ...window, clock, random: seededRandom(1), maxKeys, cleanup: false });
}

export async function measurePeaks(
  spool: Spool,
  names: readonly string[],
  window: SizedWindow,
  onProgress?: Progress,
): Promise<Peaks> {
  const clock = manualClock();
  const each = providerOn(clock, window, names.length).absolute;
  const together = providerOn(clock, window, 1).absolute;
  const rate = rateFor(VAST, window);
  const ofClients = new Float64Array(names.length);
  let ofAll = 0;
  await spool.read((timeMs, client, cost) => {
    clock.set(timeMs);
    const decision = each.inc(names[client]!, rate, cost);
    const used = decision.limit - decision.remaining;
    if (used > ofClients[client]!) ofClients[client] = used;
    const all = together.inc(ALL, rate, cost);
    ofAll = Math.max(ofAll, all.limit - all.remaining);
  }, onProgress);
  return { ofClients, ofAll };
}

/**
 * Tries limits. A client whose busiest window is within a limit is never denied by it, under either strategy, so only
 * the requests of the others are replayed.
 *
 * @param limits whole numbers from 1 on
 */
export async function tryLimits(
  spool: Spool,
  names: readonly string[],
  peaks: Float64Array,
  window: SizedWindow,
  limits: readonly number[],
  onProgress?: Progress,
): Promise<Trial[]> {
  const clock = manualClock();
  const ascending = [...new Set(limits)].sort((one, other) => one - other);
  const attempts = ascending.map((limit) => {
    const { absolute, suppressed } = providerOn(clock, window, names.length);
    const rate = rateFor(limit, window);
    const strategies = [new Attempt(absolute, rate, names), new Attempt(suppressed, rate, names)] as const;
    return { limit, strategies };
  });
  await spool.read((timeMs, client, cost) => {
    const peak = peaks[client]!;
    clock.set(timeMs);
    for (const { limit, strategies } of attempts) {
      if (limit >= peak) return;
      for (const attempt of strategies) attempt.ask(client, cost);
    }
  }, onProgress);
  return attempts.map(({ limit, strategies: [absolute, suppressed] }) => ({ limit, absolute, suppressed }));
}

class Attempt implements Denials {
  requests = 0;
  cost = 0;
  readonly ofClients: Uint32Array;
  readonly #limiter: Pick<LocalProvider["absolute"], "inc">;
  readonly #rate: Rate;
  readonly #names: readonly string[];

  constructor(limiter: Pick<LocalProvider["absolute"], "inc">, rate: Rate, names: readonly string[]) {
    this.#limiter = limiter;
    this.#rate = rate;
    this.#names = names;
    this.ofClients = new Uint32Array(names.length);
  }

  ask(client: number, cost: number): void {
    if (this.#limiter.inc(this.#names[client]!, this.#rate, cost).allowed) return;
    this.requests++;
    this.cost += cost;
    this.ofClients[client]!++;
  }
}
