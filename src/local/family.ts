// The Local providers that are made of one another by `withWindow`, and the limiters of named limits on them. They
// share the clock and the sweep. Each window, strategy and name has a store of its own, so the same key in two of them
// is two counts, and a take can keep its place in each store while it weighs the others.

import { type Ask, Members, type NamedLimit, type TakeDecisions, type Window } from "../core/family.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { LocalStats } from "../core/stats.ts";
import type { Decision } from "../core/types.ts";
import type { Watch } from "../core/watch.ts";
import { allowed } from "../strategy/decision.ts";
import { LocalAbsolute } from "./absolute.ts";
import type { Cleanup } from "./cleanup.ts";
import type { LocalLimiter } from "./limiter.ts";
import type { LocalProvider } from "./provider.ts";
import { LocalSuppressed } from "./suppressed.ts";
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
    const takenMs = this.#settings.clock.now();
    // Step by step for all keys, because then the processor waits for the memory of all at once: with a million keys a
    // take of three limits is a third faster.
    for (const ask of asks) limiterOf(ask).lookUp(key ?? ask.key);
    for (const ask of asks) limiterOf(ask).select(ask, key ?? ask.key, takenMs);
    let isTaken = true;
    let isNew = false;
    for (const ask of asks) {
      const limiter = limiterOf(ask);
      if (!limiter.weigh(ask, key ?? ask.key)) isTaken = false;
      if (limiter.isNew) isNew = true;
    }
    const taken = isTaken ? this.#count(asks, key, takenMs) : this.#deny(asks, key, takenMs);
    // Last, for a sweep selects other keys.
    if (isNew) this.#cleanup.noteNewKey();
    return taken;
  }

  #count(asks: readonly Ask[], key: string | undefined, takenMs: number): TakeDecisions {
    const outcomes = new Array<number | Decision>(3 * asks.length);
    for (let i = 0; i < asks.length; i++) {
      const ask = asks[i]!;
      limiterOf(ask).count(ask, key ?? ask.key, outcomes, 3 * i);
    }
    return new LocalTake(outcomes, takenMs);
  }

  #deny(asks: readonly Ask[], key: string | undefined, takenMs: number): TakeDecisions {
    const decisions = asks.map((ask) => limiterOf(ask).concludeDenied(ask, key ?? ask.key));
    return { isTaken: false, decisions, takenMs };
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

  protected makeLimiter({ hardLimitFactor, ...counts }: NamedLimit): LocalLimiter {
    const { strategy, windowMs, bucketMs } = counts;
    const id = JSON.stringify(counts);
    const store = this.#stores.get(id) ?? this.#makeStore(windowMs, bucketMs);
    this.#stores.set(id, store);
    const settings = { ...this.#settings, windowMs, bucketMs, hardLimitFactor };
    const Strategy = strategy === "absolute" ? LocalAbsolute : LocalSuppressed;
    return new Strategy({ settings, store, cleanup: this.#cleanup, tally: this.watch.tallyOf(counts) });
  }

  #makeStore(windowMs: number, bucketMs: number): WindowStore {
    const store = new WindowStore(windowMs, bucketMs, this.#maxKeys, this.#settings.clock, this.watch);
    this.#cleanup.add(store, windowMs);
    return store;
  }
}

/**
 * A take that was admitted. To make a decision takes as long as all else about an ask, and most callers look at none of
 * them. So what they say is kept as numbers until somebody does.
 */
class LocalTake implements TakeDecisions {
  readonly isTaken = true;
  readonly takenMs: number;
  /** For each ask three: limit, used and time until more is free; or its decision, and two zeros. */
  readonly #outcomes: readonly (number | Decision)[];
  #decisions: Decision[] | undefined;

  constructor(outcomes: readonly (number | Decision)[], takenMs: number) {
    this.#outcomes = outcomes;
    this.takenMs = takenMs;
  }

  get decisions(): readonly Decision[] {
    this.#decisions ??= this.#makeDecisions();
    return this.#decisions;
  }

  #makeDecisions(): Decision[] {
    const outcomes = this.#outcomes;
    const decisions: Decision[] = [];
    for (let i = 0; i < outcomes.length; i += 3) {
      const outcome = outcomes[i]!;
      const isNumber = typeof outcome === "number";
      decisions.push(isNumber ? allowed(outcome, outcomes[i + 1] as number, outcomes[i + 2] as number) : outcome);
    }
    return decisions;
  }
}

function limiterOf({ limiter }: Ask): LocalLimiter {
  return limiter as LocalLimiter;
}
