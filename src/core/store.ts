// Says where a limiter counts, so that a notice can be given when two limiters share counts by mistake.

/** Two limiters share their counts if they count in the same part of the same place. */
export interface Store {
  /** The client of a Redis, or the limiter itself where the counts are its own. */
  readonly place: object;
  /** How the keys in that place begin. */
  readonly part: string;
}

const stores = new WeakMap<object, Store>();

/** Says where a limiter counts. */
export function setStore(limiter: object, store: Store): void {
  stores.set(limiter, store);
}

/** Where a limiter counts: in a store of its own, unless {@link setStore} named another. */
export function storeOf(limiter: object): Store {
  return stores.get(limiter) ?? { place: limiter, part: "" };
}
