// The Local providers that are made of one another by `withWindow`, and the limiters of named limits on them. They
// share the clock and the sweep. Each window, strategy and name has a store of its own, so the same key in two of them
// is two counts, and a take can keep its place in each store while it weighs the others.

import {
  type Ask,
  type Family,
  Members,
  type NamedLimit,
  setFamily,
  type TakeDecisions,
  type Window,
} from "../core/family.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Decision } from "../core/types.ts";
import { LocalAbsolute } from "./absolute.ts";
import type { Cleanup } from "./cleanup.ts";
import type { LocalLimiter } from "./limiter.ts";
import type { LocalProvider } from "./provider.ts";
import { LocalSuppressed } from "./suppressed.ts";
import { WindowStore } from "./window-store.ts";

export class LocalFamily extends Members<LocalProvider, LocalLimiter> implements Family {
  readonly answersLater = false;
  readonly #settings: LimiterSettings;
  readonly #maxKeys: number;
  readonly #cleanup: Cleanup | undefined;
  /** Limits that differ in nothing but their hard limit have the same counts. */
  readonly #stores = new Map<string, WindowStore>();

  constructor(settings: LimiterSettings, maxKeys: number, cleanup: Cleanup | undefined) {
    super();
    this.#settings = settings;
    this.#maxKeys = maxKeys;
    this.#cleanup = cleanup;
  }

  get hardLimitFactor(): number {
    return this.#settings.hardLimitFactor;
  }

  take(asks: readonly Ask[]): TakeDecisions {
    const takenMs = this.#settings.clock.now();
    let isTaken = true;
    for (const ask of asks) if (!limiterOf(ask).weigh(ask, takenMs)) isTaken = false;
    const decisions: Decision[] = [];
    for (const ask of asks) decisions.push(limiterOf(ask).conclude(ask, isTaken));
    // Last, for a sweep selects other keys.
    if (asks.some(isNew)) this.#cleanup?.start();
    return { decisions, takenMs };
  }

  nowMs(): number {
    return this.#settings.clock.now();
  }

  protected makeProvider(window: Window): LocalProvider {
    const { hardLimitFactor } = this.#settings;
    const ofStrategy = (strategy: "absolute" | "suppressed") =>
      this.limiter({ name: "", strategy, hardLimitFactor, ...window });
    const close = () => this.#cleanup?.close();
    const provider: LocalProvider = {
      absolute: ofStrategy("absolute") as LocalAbsolute,
      suppressed: ofStrategy("suppressed") as LocalSuppressed,
      windowMs: window.windowMs,
      withWindow: this.withWindow,
      close,
      [Symbol.dispose]: close,
    };
    setFamily(provider, this);
    return provider;
  }

  protected makeLimiter({ hardLimitFactor, ...counts }: NamedLimit): LocalLimiter {
    const { strategy, windowMs, bucketMs } = counts;
    const id = JSON.stringify(counts);
    const store = this.#stores.get(id) ?? this.#makeStore(windowMs, bucketMs);
    this.#stores.set(id, store);
    const settings = { ...this.#settings, windowMs, bucketMs, hardLimitFactor };
    const Strategy = strategy === "absolute" ? LocalAbsolute : LocalSuppressed;
    return new Strategy(settings, store, this.#cleanup);
  }

  #makeStore(windowMs: number, bucketMs: number): WindowStore {
    const store = new WindowStore(windowMs, bucketMs, this.#maxKeys, this.#settings.clock);
    this.#cleanup?.add(store, windowMs);
    return store;
  }
}

/** Whether the key of an ask that was weighed last may have been stored, or blocked, for the first time. */
function isNew(ask: Ask): boolean {
  return limiterOf(ask).isNew;
}

function limiterOf({ limiter }: Ask): LocalLimiter {
  return limiter as LocalLimiter;
}
