// Keys to numbers, spread over many small Maps: a Map stops the world while it grows or shrinks
// (80 ms at a million keys), and sixty-four small ones do so for about a millisecond each.

export const SHARDS = 64;

/** Map takes 2^24 entries, and in the worst case all keys are in one. */
export const MOST_KEYS = 16_000_000;

export class KeyIndex {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, number>());
  #shard = 0;

  get(key: string): number | undefined {
    return this.#shards[shardOf(key)]!.get(key);
  }

  set(key: string, value: number): void {
    this.#shards[shardOf(key)]!.set(key, value);
  }

  delete(key: string): void {
    this.#shards[shardOf(key)]!.delete(key);
  }

  /** A part of the entries, in the order in which they were set first. Another part each time. */
  nextShard(): ReadonlyMap<string, number> {
    this.#shard = (this.#shard + 1) % SHARDS;
    return this.#shards[this.#shard]!;
  }

  clear(): void {
    for (const shard of this.#shards) shard.clear();
  }
}

/**
 * The shard of a key. For a key that isn't a text, any: none has it.
 *
 * Any spread will do, so a few characters are enough: the last ones tell numbered keys apart, the
 * middle ones keys that end alike. The weights are powers of ten modulo 64, which spreads decimal
 * digits evenly.
 */
function shardOf(key: string): number {
  if (typeof key !== "string") return 0;
  const length = key.length;
  if (length < 4) return length === 0 ? 0 : key.charCodeAt(length - 1) & (SHARDS - 1);
  return (
    (key.charCodeAt(length - 1) +
      key.charCodeAt(length - 2) * 10 +
      key.charCodeAt(length - 3) * 36 +
      key.charCodeAt(length >> 1) * 40) &
    (SHARDS - 1)
  );
}
