// What the providers give to whatever checks several limits as one: limiters by name, and takes.
//
// A provider and those that `withWindow` makes of it are a family: they count in the same place. A name is part of what
// is counted, so limits of different names have different counts for the same key.

import { resolveWindow } from "./options.ts";
import type { Rate } from "./rate.ts";
import type { Summary } from "./sketch.ts";
import type { OnDenial } from "./tally.ts";
import type { Awaitable, Decision, Limiter, Provider, WindowOptions } from "./types.ts";
import type { Watch } from "./watch.ts";

/** Which counts a limiter of a family has. */
export interface NamedLimit {
  /** Empty for the limiters that a provider has itself. */
  readonly name: string;
  readonly strategy: "absolute" | "suppressed";
  readonly windowMs: number;
  readonly bucketMs: number;
  readonly hardLimitFactor: number;
}

/** One limit of a take. Its rate and its count are valid. */
export interface Ask {
  /** One that the family has made. No two asks of a take have the same. */
  readonly limiter: Limiter;
  /** Not looked at in a take that has one key for all its asks. */
  readonly key: string;
  readonly rate: Rate;
  /** The weight of the call; 0 asks for a call of 1 and counts nothing. */
  readonly count: number;
  /** Absolute: for how long a denial blocks the key; 0 for no block. */
  readonly blockMs: number;
  /** Suppressed: the draw that the ask has taken before it came here, if it has. */
  readonly draw?: number | undefined;
}

/** What an ask of that count is judged by: one that counts nothing asks for a call of 1. */
export function weightOf(count: number): number {
  return count === 0 ? 1 : count;
}

/** The asks of a take, each with its key. */
export function withKey(asks: readonly Ask[], key: string | undefined): readonly Ask[] {
  if (key === undefined) return asks;
  return asks.map(({ limiter, rate, count, blockMs }) => ({ limiter, key, rate, count, blockMs }));
}

/** What was decided about each ask, and when. */
export interface TakeDecisions {
  /** Whether every ask was admitted. */
  readonly isTaken: boolean;
  readonly decisions: readonly Decision[];
  /** By the clock of the family. */
  readonly takenMs: number;
}

/** A window, with all that its options leave open. */
export type Window = Required<WindowOptions>;

/** Where all processes of a family put their denials together, so that each sees those of all. */
export interface SharedDenials {
  /** Whether it is worth trying now. */
  readonly isReachable: boolean;
  /** Adds the denials of this process since the last time. Of each span of time, of `spanMs`, it keeps `size` keys. */
  add(own: Summary, size: number, spanMs: number): Promise<void>;
  /** The same, and returns what there is then: of this span and of the one before. */
  addAndRead(own: Summary, size: number, spanMs: number): Promise<readonly Summary[]>;
}

/** A family, as others see it. */
export interface Family {
  /** The limiter of these counts: the same object for the same limit. */
  limiter(limit: NamedLimit): Limiter;
  /** The limiters of limits that are asked together, mostly for the same keys. */
  limitersTogether(limits: readonly NamedLimit[]): readonly Limiter[];
  /**
   * Decides about all asks, and counts them if each is admitted. Where one is denied, absolute limits are left as they
   * were, and suppressed limits count what they were asked for as declined.
   *
   * @param key the key of all asks; without it, each has its own
   * @throws {TrypemaError} `INVALID_KEY`: then nothing was counted
   */
  take(asks: readonly Ask[], key?: string): Awaitable<TakeDecisions>;
  /** The present time by the clock that `takenMs` is of. */
  nowMs(): number;
  /** The options that a limit has where its definition doesn't say. */
  readonly hardLimitFactor: number;
  /** Whether each answer is a promise, also where nothing has to be waited for, and an error rejects it. */
  readonly answersLater: boolean;
  /** What the family counts and tells. */
  readonly watch: Watch;
  /** Has the denials of all limits told from now on, or nobody with undefined. */
  tellDenials(onDenial: OnDenial | undefined): void;
  /** Undefined where there are no other processes. */
  readonly sharedDenials: SharedDenials | undefined;
  /** The window of a provider of the family. */
  windowOf(provider: Provider): Window;
}

/**
 * Makes the providers and the limiters of a family, each once. Always holds: two limits with the same name, strategy,
 * window and factor have the same limiter.
 */
export abstract class Members<P extends Provider, L extends Limiter> implements Family {
  readonly #providers = new Map<string, P>();
  readonly #windows = new WeakMap<Provider, Window>();
  readonly #limiters = new Map<string, L>();

  /** The provider with that window. */
  provider(window: Window): P {
    const id = `${window.windowMs}:${window.bucketMs}`;
    let provider = this.#providers.get(id);
    if (provider === undefined) {
      provider = this.makeProvider(window);
      setFamily(provider, this);
      this.#providers.set(id, provider);
      this.#windows.set(provider, window);
    }
    return provider;
  }

  windowOf(provider: Provider): Window {
    return this.#windows.get(provider)!;
  }

  /** What `withWindow` does. */
  readonly withWindow = (window: WindowOptions): P => this.provider(resolveWindow(window));

  limiter(limit: NamedLimit): L {
    const { name, strategy, windowMs, bucketMs, hardLimitFactor } = limit;
    const id = `${strategy}:${windowMs}:${bucketMs}:${hardLimitFactor}:${name}`;
    let limiter = this.#limiters.get(id);
    if (limiter === undefined) {
      limiter = this.makeLimiter(limit);
      this.#limiters.set(id, limiter);
    }
    return limiter;
  }

  limitersTogether(limits: readonly NamedLimit[]): readonly L[] {
    return limits.map((limit) => this.limiter(limit));
  }

  /** The limiter that a provider with that window has itself. */
  protected ownLimiter(strategy: "absolute" | "suppressed", window: Window): L {
    return this.limiter({ name: "", strategy, hardLimitFactor: this.hardLimitFactor, ...window });
  }

  tellDenials(onDenial: OnDenial | undefined): void {
    this.watch.onDenial = onDenial;
  }

  /** All limiters that there are. */
  protected get limiters(): Iterable<L> {
    return this.#limiters.values();
  }

  abstract readonly hardLimitFactor: number;
  abstract readonly answersLater: boolean;
  abstract readonly watch: Watch;
  abstract readonly sharedDenials: SharedDenials | undefined;
  abstract nowMs(): number;
  abstract take(asks: readonly Ask[], key?: string): Awaitable<TakeDecisions>;
  protected abstract makeProvider(window: Window): P;
  protected abstract makeLimiter(limit: NamedLimit): L;
}

const families = new WeakMap<object, Family>();

function setFamily(provider: object, family: Family): void {
  families.set(provider, family);
}

/** The family of a provider; undefined for a provider that isn't made by this package. */
export function familyOf(provider: object): Family | undefined {
  return families.get(provider);
}
