// One window of a limiter: where requests are counted in it, and how much it allows. A limiter has one window. Where
// `windowMs` is a function, it has one for each length that the function gave.

import { numberOption } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import { storeOf } from "../core/store.ts";
import type { Limiter, Provider } from "../core/types.ts";
import { createLocalProvider } from "../local/provider.ts";
import { ByWindow } from "./by-window.ts";
import { type Counts, checkProvider, checkUnwindowed, commonRateOf, countsOf, rateOfRequest } from "./counts.ts";
import type { LimiterDefinition, WindowDefinition } from "./definition.ts";

/** What limiters of one name in one store share, because they count for the same keys. */
interface SharedCounts {
  /** The rate of the limiter that was made last; undefined where a function gives it. */
  latestRate: Rate | "none" | undefined;
}

const sharedCounts = new WeakMap<object, Map<string, SharedCounts>>();

function sharedCountsOf(limiter: Limiter, name: string): SharedCounts {
  const { place, part } = storeOf(limiter);
  const byName = sharedCounts.get(place) ?? new Map<string, SharedCounts>();
  sharedCounts.set(place, byName);
  const fullName = `${part} ${name}`;
  const found = byName.get(fullName) ?? { latestRate: undefined };
  byName.set(fullName, found);
  return found;
}

export class LimiterWindow<Raw> {
  readonly counts: Counts;
  /** The rate where all requests have the same. */
  readonly rate: Rate | "none" | undefined;
  readonly #definition: WindowDefinition<Raw>;
  readonly #sharedCounts: SharedCounts;
  readonly #substituteFor: (counts: Counts) => Provider;
  #substituteCounts: Counts | undefined;
  #lastGiven: number | "none" = "none";
  #lastRate: Rate | "none" = "none";

  /**
   * @param substituteFor gives the provider that decides while `provider` fails
   * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
   */
  constructor(definition: WindowDefinition<Raw>, provider: Provider, substituteFor: (counts: Counts) => Provider) {
    this.#definition = definition;
    this.#substituteFor = substituteFor;
    this.counts = countsOf(definition, provider);
    this.rate = commonRateOf(definition, this.counts.windowMs);
    this.#sharedCounts = sharedCountsOf(this.counts.limiter, `${this.counts.keyPrefix}${definition.name ?? "default"}`);
    this.#sharedCounts.latestRate = this.rate;
  }

  /** Whether a limiter that was made later counts in the same place at another rate. */
  get isSharedAtAnotherRate(): boolean {
    return this.#sharedCounts.latestRate !== this.rate;
  }

  /**
   * The rate that a function gave. Successive requests mostly bring the same one.
   *
   * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
   */
  checkedRate(given: number | "none"): Rate | "none" {
    if (given !== this.#lastGiven) {
      this.#lastRate = rateOfRequest(this.#definition, given, this.counts.windowMs);
      this.#lastGiven = given;
    }
    return this.#lastRate;
  }

  /** Where requests are counted while the provider fails: in the same window. */
  substituteCounts(): Counts {
    this.#substituteCounts ??= this.#countsOn(this.#substituteFor(this.counts));
    return this.#substituteCounts;
  }

  /** A provider that isn't of this package may have no window but its own. */
  #countsOn(provider: Provider): Counts {
    const { windowMs } = this.counts;
    return countsOf({ ...this.#definition, ...(provider.windowMs === windowMs ? {} : { windowMs }) }, provider);
  }
}

/** The windows of a limiter. */
export class LimiterWindows<Raw> {
  /** The window of all requests; undefined where a function gives it. */
  readonly common: LimiterWindow<Raw> | undefined;
  readonly #definition: LimiterDefinition<Raw>;
  readonly #provider: Provider;
  readonly #byWindow = new ByWindow((windowMs) => this.#make(this.#checked(windowMs)));
  /** The Local provider that decides while the provider fails. */
  #local: Provider | undefined;

  /** @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE` */
  constructor(definition: LimiterDefinition<Raw>, provider: Provider) {
    this.#definition = definition;
    this.#provider = provider;
    const { windowMs, onBackendFailure } = definition;
    if (typeof onBackendFailure === "object") checkProvider("onBackendFailure.provider", onBackendFailure.provider);
    if (typeof windowMs === "function") {
      checkUnwindowed(definition, provider);
      return;
    }
    this.common = this.#make(windowMs);
    if (typeof onBackendFailure === "object") this.common.substituteCounts();
  }

  /** The window of one request. */
  of(windowMs: number): LimiterWindow<Raw> {
    return this.#byWindow.of(windowMs);
  }

  /** The window that a function gave; undefined for the provider's. */
  #checked(windowMs: number | undefined): number | undefined {
    const { name = "default" } = this.#definition;
    if (windowMs === undefined) return undefined;
    return numberOption(`${name}.windowMs`, windowMs, 0, 1, Number.MAX_SAFE_INTEGER);
  }

  #make(windowMs: number | undefined): LimiterWindow<Raw> {
    const definition = { ...this.#definition, windowMs } as WindowDefinition<Raw>;
    return new LimiterWindow(definition, this.#provider, (counts) => this.#substituteFor(counts));
  }

  /** The provider that decides while the limiter's own one fails. */
  #substituteFor({ windowMs, bucketMs }: Counts): Provider {
    const { onBackendFailure } = this.#definition;
    if (typeof onBackendFailure === "object") return onBackendFailure.provider;
    this.#local ??= createLocalProvider({ windowMs, bucketMs });
    return this.#local;
  }
}
