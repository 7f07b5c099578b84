// What `stats()` of the providers returns. All counts are since the provider was made, and only grow; the rest says how
// it is now.

import type { LimitStats } from "./tally.ts";

/** What every kind of provider counts, for all of its windows together. */
interface CommonStats {
  /** One entry for each strategy, window and name that was ever used. */
  readonly limits: readonly LimitStats[];
}

/** What a Local provider has counted. */
export interface LocalStats extends CommonStats {
  /** Tells the kinds apart. */
  readonly kind: "local";
  /** How many keys are stored now: live keys, and stale keys that the sweep hasn't removed yet. */
  readonly keys: number;
  /** How many keys are blocked now, or were blocked until a short time ago. */
  readonly blockedKeys: number;
  /** Pieces of memory, 32 bytes each, for the buckets that a key's own record has no room for. */
  readonly bucketNodes: number;
  /** The share of `maxKeys` that is taken, for the strategy, window and name with the most keys: 1 is full. */
  readonly fullness: number;
  /** Live keys that were forgotten for new keys, because `maxKeys` keys were stored. */
  readonly evictions: number;
  /** How often a sweep has looked at all keys. */
  readonly sweeps: number;
  /** How many stale keys the sweeps have forgotten. */
  readonly sweptKeys: number;
  /** How long all sweeps together took. */
  readonly sweepingMs: number;
}

/** What a Redis provider has counted. */
export interface RedisStats extends CommonStats {
  /** Tells the kinds apart. */
  readonly kind: "redis";
  /** Whether the breaker is open: it refuses calls now, except one every half second that tries Redis. */
  readonly isBreakerOpen: boolean;
  /** How often the breaker has opened. */
  readonly breakerOpenings: number;
  /** Calls to Redis that had no answer at their deadline. */
  readonly timeouts: number;
  /** Calls to Redis that failed, timeouts included. Calls that the breaker refused don't count. */
  readonly failures: number;
  /** Scripts that were sent to Redis. */
  readonly scripts: number;
  /** Calls and reports in these scripts. Divided by `scripts` it says how many share a script. */
  readonly scriptCalls: number;
  /** Calls that the failure policy decided about; `isAllowed` counts too. */
  readonly degraded: number;
  /** Calls whose error went to the caller, because the failure policy is `"throw"`. */
  readonly failed: number;
}

/** What a Hybrid provider has counted. */
export interface HybridStats extends Omit<RedisStats, "kind"> {
  /** Tells the kinds apart. */
  readonly kind: "hybrid";
  /** How many keys this process knows now: it has a lease, hits to report, or an answer of Redis. */
  readonly keys: number;
  /** Calls that had to wait for an answer of Redis. All other calls were decided in this process at once. */
  readonly waited: number;
  /** Reports that were sent to Redis. */
  readonly reports: number;
  /** Reports without an answer. Their hits were sent again. */
  readonly reportsLost: number;
  /** The admitted counts that this process has reported. */
  readonly reported: number;
  /** The capacity that Redis has granted as leases. The unused part of a lease goes back. */
  readonly granted: number;
  /** The capacity that is leased and not yet spent now. */
  readonly leased: number;
  /** How many keys have hits now that Redis hasn't confirmed. */
  readonly unconfirmedKeys: number;
  /** The age of the oldest hit that Redis hasn't confirmed; 0 if there is none. */
  readonly oldestUnconfirmedMs: number;
}

/** What `stats()` of a provider returns. */
export type ProviderStats = LocalStats | RedisStats | HybridStats;

/** An object with `stats()`, from which metrics are read: any provider of this package. */
export interface StatsSource {
  /** What the provider has counted. */
  stats(): ProviderStats;
}
