// Which limiters count in the same place, so that limits which share counts without meaning to can be noticed.

const stores = new WeakMap<object, object>();

/** Says that a limiter counts in `store`, which it may share with other limiters. */
export function setStore(limiter: object, store: object): void {
  stores.set(limiter, store);
}

/** Where a limiter counts: two limiters share their counts if it is the same object. */
export function storeOf(limiter: object): object {
  return stores.get(limiter) ?? limiter;
}
