// The only place that names Redis keys.

/**
 * The Redis keys of a limited key: its state, the list of its buckets, and the leases of hybrid processes. The braces
 * make all of them hash to the same slot of a Cluster, whatever braces the limited key has itself. The window is part
 * of the name, so that limiters with different windows under one prefix don't share a history: the buckets of one grid
 * mean nothing in another.
 */
export class KeyNames {
  /** What the names of all Redis keys of all limited keys begin with, and no others. */
  readonly start: string;

  constructor(prefix: string, strategy: "absolute" | "suppressed", windowMs: number, bucketMs: number) {
    this.start = `${prefix}:{${strategy[0]}:${windowMs}:${bucketMs}:`;
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
