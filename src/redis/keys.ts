// The only place that names Redis keys.

/**
 * The two Redis keys of a limited key: its state, and the list of its buckets. The braces make both hash to
 * the same slot of a Cluster, whatever braces the key has itself. The window is part of the name, so limiters
 * with other windows under the same prefix have a history of their own: buckets of one grid mean nothing in another.
 */
export class KeyNames {
  readonly #start: string;

  constructor(prefix: string, strategy: "a" | "s", windowMs: number, bucketMs: number) {
    this.#start = `${prefix}:{${strategy}:${windowMs}:${bucketMs}:`;
  }

  of(key: string): [state: string, buckets: string] {
    const state = `${this.#start}${key}}`;
    return [state, `${state}b`];
  }

  /** A pattern for SCAN that matches all of them. */
  get pattern(): string {
    return `${this.#start.replaceAll(/[\\*?[\]^]/g, "\\$&")}*`;
  }
}
