// What `stats()` of the providers returns. All counts are since the provider was made, and only grow; the rest says how
// it is now.

import type { LimitStats } from "./tally.ts";

/** What every kind of provider counts, for all of its windows together. */
interface CommonStats {
  /** One for each strategy, window and name, of those that were ever used. */
  readonly limits: readonly LimitStats[];
}

/** What a Local provider has counted. */
export interface LocalStats extends CommonStats {
  /** Tells the kinds apart. */
  readonly kind: "local";
  /** Keys that are stored now, whether live or waiting to be swept. */
  readonly keys: number;
  /** Keys that are blocked now, or were until a little while ago. */
  readonly blockedKeys: number;
  /** Pieces of memory, 32 bytes each, for the buckets that a key's own record has no room for. */
  readonly bucketNodes: number;
  /** How much of `maxKeys` is taken by the strategy, window and name with the most keys: 1 is full. */
  readonly fullness: number;
  /** Live keys that were forgotten for others, because `maxKeys` were stored. */
  readonly evictions: number;
  /** How often all keys were looked through for stale ones. */
  readonly sweeps: number;
  /** How many stale keys these sweeps have forgotten. */
  readonly sweptKeys: number;
  /** How long these sweeps took in all. */
  readonly sweepingMs: number;
}

/** What a provider has counted that counts in Redis. */
export interface RedisStats extends CommonStats {
  /** Tells the kinds apart. */
  readonly kind: "redis";
  /** Whether the breaker refuses calls now, but for one at times that tries Redis. */
  readonly isBreakerOpen: boolean;
  /** How often the breaker has opened. */
  readonly breakerOpenings: number;
  /** Calls to Redis that were unanswered when their deadline passed. */
  readonly timeouts: number;
  /** Calls to Redis that failed, timeouts included; not those that the breaker refused. */
  readonly failures: number;
  /** Scripts that were sent to Redis. */
  readonly scripts: number;
  /** Calls and reports in these scripts; by `scripts` it is how many share one. */
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
  /** Keys that this process has something of now: a lease, hits to report, or what Redis has said of them. */
  readonly keys: number;
  /** Calls that had to wait for an answer of Redis. All others were decided here at once. */
  readonly waited: number;
  /** Reports that were sent to Redis. */
  readonly reports: number;
  /** Reports without an answer. Their hits were sent again. */
  readonly reportsLost: number;
  /** How much of what was admitted here has been reported. */
  readonly reported: number;
  /** How much capacity Redis has granted as leases. What isn't used of a lease goes back. */
  readonly granted: number;
  /** How much capacity is leased and not yet spent now. */
  readonly leased: number;
  /** Keys of which Redis hasn't confirmed all hits now. */
  readonly unconfirmedKeys: number;
  /** How old the oldest hit is now that Redis hasn't confirmed; 0 without one. */
  readonly oldestUnconfirmedMs: number;
}

/** What `stats()` of a provider returns. */
export type ProviderStats = LocalStats | RedisStats | HybridStats;

/** What metrics are read from: any provider of this package. */
export interface StatsSource {
  /** What the provider has counted. */
  stats(): ProviderStats;
}
