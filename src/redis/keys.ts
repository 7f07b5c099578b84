// The only place that names Redis keys.

import type { NamedLimit } from "../core/family.ts";

/**
 * The Redis keys of a limited key: its state, the list of its buckets, and the leases of hybrid processes. Only what is
 * between the first two braces decides about the slot of a Cluster. So all Redis keys of a limited key are in one slot,
 * for all strategies and windows, whatever braces the limited key has itself. The colon after the brace is there
 * because nothing between the braces would mean that the whole name decides.
 *
 * The window is part of the name, so that limiters with different windows under one prefix don't share a history: the
 * buckets of one grid mean nothing in another. And so is the name of a named limit, which has counts of its own.
 */
export class KeyNames {
  /** What the names of all Redis keys of all limited keys begin with, and no others. */
  readonly start: string;

  /** @param name of a named limit; empty for the limiters that a provider has itself */
  constructor(prefix: string, { strategy, windowMs, bucketMs, name }: Omit<NamedLimit, "hardLimitFactor">) {
    const part = name === "" ? "" : `${encodeURIComponent(name)}:`;
    this.start = `${prefix}:${strategy[0]}:${windowMs}:${bucketMs}:${part}{:`;
  }

  of(key: string): [state: string, buckets: string] {
    const state = `${this.start}${key}}`;
    return [state, `${state}b`];
  }

  withLeases(key: string): [state: string, buckets: string, leases: string] {
    const [state, buckets] = this.of(key);
    return [state, buckets, `${state}l`];
  }
}
