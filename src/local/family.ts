// The Local providers that are made of one another by `withWindow`, and the limiters of named limits on them. They
// share the clock and the sweep. Each window, strategy and name has a store of its own, so the same key in two of them
// is two counts, and a take can keep its place in each store while it weighs the others.

import { type Ask, Members, type NamedLimit, type TakeDecisions, type Window } from "../core/family.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { LocalStats } from "../core/stats.ts";
import type { Watch } from "../core/watch.ts";
import { LocalAbsolute } from "./absolute.ts";
import type { Cleanup } from "./cleanup.ts";
import type { LocalLimiter } from "./limiter.ts";
import type { LocalProvider } from "./provider.ts";
import { SharedIndex } from "./shared-index.ts";
import { LocalSuppressed } from "./suppressed.ts";
import { take } from "./takes.ts";
import { WindowStore } from "./window-store.ts";

/** What a family of Local providers shares. */
export interface LocalParts {
  readonly settings: LimiterSettings;
  readonly maxKeys: number;
  readonly cleanup: Cleanup;
  readonly watch: Watch;
}

export class LocalFamily extends Members<LocalProvider, LocalLimiter> {
  readonly answersLater = false;
  readonly sharedDenials = undefined;
  readonly watch: Watch;
  readonly #settings: LimiterSettings;
  readonly #maxKeys: number;
  readonly #cleanup: Cleanup;
  /** Limits that differ in nothing but their hard limit have the same counts. */
  readonly #stores = new Map<string, WindowStore>();

  constructor({ settings, maxKeys, cleanup, watch }: LocalParts) {
    super();
    this.watch = watch;
    this.#settings = settings;
    this.#maxKeys = maxKeys;
    this.#cleanup = cleanup;
  }

  get hardLimitFactor(): number {
    return this.#settings.hardLimitFactor;
  }

  take(asks: readonly Ask[], key?: string): TakeDecisions {
    return take(asks, key, this.#settings.clock.now(), this.#cleanup);
  }

  nowMs(): number {
    return this.#settings.clock.now();
  }

  protected makeProvider(window: Window): LocalProvider {
    const close = () => this.#cleanup.close();
    return {
      absolute: this.ownLimiter("absolute", window) as LocalAbsolute,
      suppressed: this.ownLimiter("suppressed", window) as LocalSuppressed,
      windowMs: window.windowMs,
      withWindow: this.withWindow,
      startCleanup: () => this.#cleanup.start(),
      stopCleanup: () => this.#cleanup.stop(),
      stats: () => this.#stats(),
      close,
      [Symbol.dispose]: close,
    };
  }

  #stats(): LocalStats {
    const stores = [...this.#stores.values()];
    const sum = (of: (store: WindowStore) => number) => stores.reduce((total, store) => total + of(store), 0);
    const { evictions, sweeps, sweptKeys, sweepingMs } = this.watch.counts;
    return {
      kind: "local",
      limits: this.watch.tallies.map(({ stats }) => stats),
      keys: sum(({ size }) => size),
      blockedKeys: sum(({ blocks }) => blocks.size),
      bucketNodes: sum(({ nodes }) => nodes),
      fullness: Math.max(...stores.map(({ size }) => size)) / this.#maxKeys,
      evictions,
      sweeps,
      sweptKeys,
      sweepingMs,
    };
  }

  /** Those stores which are new share an index. */
  override limitersTogether(limits: readonly NamedLimit[]): readonly LocalLimiter[] {
    const index = SharedIndex.suits(limits.length, this.#maxKeys) ? new SharedIndex(limits.length) : undefined;
    for (const limit of limits) this.#storeOf(limit, index);
    return super.limitersTogether(limits);
  }

  protected makeLimiter({ hardLimitFactor, ...counts }: NamedLimit): LocalLimiter {
    const { strategy, windowMs, bucketMs } = counts;
    const store = this.#storeOf(counts);
    const settings = { ...this.#settings, windowMs, bucketMs, hardLimitFactor };
    const Strategy = strategy === "absolute" ? LocalAbsolute : LocalSuppressed;
    return new Strategy({ settings, store, cleanup: this.#cleanup, tally: this.watch.tallyOf(counts) });
  }

  /** @param index that of the store if it has to be made; without it, the store has its own */
  #storeOf(
    { name, strategy, windowMs, bucketMs }: Omit<NamedLimit, "hardLimitFactor">,
    index?: SharedIndex,
  ): WindowStore {
    const id = JSON.stringify([name, strategy, windowMs, bucketMs]);
    let store = this.#stores.get(id);
    if (store === undefined) {
      store = new WindowStore(windowMs, bucketMs, this.#maxKeys, this.#settings.clock, this.watch, index);
      this.#stores.set(id, store);
      this.#cleanup.add(store, windowMs);
    }
    return store;
  }
}
