// The only place that names Redis keys.

import type { NamedLimit } from "../core/family.ts";

/**
 * The Redis keys of a limited key: its state, the list of its chunks, and the leases of hybrid processes. Only what is
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
  /**
   * The key that was named last. A key that is called again and again is named once, so a batch compares one text with
   * itself to find the calls to the key.
   */
  #lastKey: string | undefined;
  #last: readonly [state: string, buckets: string] = ["", ""];

  /** @param name of a named limit; empty for the limiters that a provider has itself */
  constructor(prefix: string, { strategy, windowMs, bucketMs, name }: Omit<NamedLimit, "hardLimitFactor">) {
    const part = name === "" ? "" : `${encodeURIComponent(name)}:`;
    this.start = `${prefix}:${strategy[0]}:${windowMs}:${bucketMs}:${part}{:`;
  }

  of(key: string): readonly [state: string, buckets: string] {
    if (key !== this.#lastKey) {
      const state = `${this.start}${key}}`;
      this.#last = [state, `${state}b`];
      this.#lastKey = key;
    }
    return this.#last;
  }

  withLeases(key: string): [state: string, buckets: string, leases: string] {
    const [state, buckets] = this.of(key);
    return [state, buckets, `${state}l`];
  }
}

/** What the name of a state says of its limit. */
export type StoredLimit = Omit<NamedLimit, "hardLimitFactor">;

const STATE_NAME = /^([as]):([\d.]+):([\d.]+):(?:([^:{}]+):)?\{:(.*)\}$/s;

/**
 * The limit and the key that a Redis key has the state of.
 *
 * @returns undefined for any other Redis key, those of the buckets and the leases included
 */
export function readStateName(prefix: string, redisKey: string): { limit: StoredLimit; key: string } | undefined {
  if (!redisKey.startsWith(`${prefix}:`)) return undefined;
  const found = STATE_NAME.exec(redisKey.slice(prefix.length + 1));
  if (found === null) return undefined;
  const [, letter, windowMs, bucketMs, part = "", key = ""] = found;
  const name = decodedName(part);
  if (name === undefined) return undefined;
  const strategy = letter === "a" ? "absolute" : "suppressed";
  return { limit: { name, strategy, windowMs: Number(windowMs), bucketMs: Number(bucketMs) }, key };
}

/** Undefined for a name that this package can't have written. */
function decodedName(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

/** A pattern for SCAN that the names of the states of a key meet, or those of all keys. It may meet others too. */
export function statePattern(prefix: string, key?: string): string {
  return `${escapeGlob(prefix)}:[as]:*{:${key === undefined ? "*" : escapeGlob(key)}}`;
}

/** `text` for a pattern, as itself. */
export function escapeGlob(text: string): string {
  return text.replaceAll(/[\\*?[\]^]/g, "\\$&");
}
