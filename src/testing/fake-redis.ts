/// <reference lib="esnext.disposable" preserve="true" />

// The Redis provider without Redis, for tests. While the fake is "up" a Local provider answers, because it decides as
// Redis does; the contract suite runs over both. Otherwise a real Redis provider answers, on a client that fails. So
// the deadlines, the breaker, the failure policies and the errors are the real ones.

import { adjusterOf, setAdjuster } from "../core/adjuster.ts";
import { show, TrypemaError } from "../core/errors.ts";
import type { Rate } from "../core/rate.ts";
import type {
  Awaitable,
  Condition,
  Decision,
  History,
  Limiter,
  Provider,
  SetIfResult,
  SuppressedLimiter,
  Usage,
} from "../core/types.ts";
import { createLocalProvider } from "../local/provider.ts";
import type { RedisOptions } from "../redis/open.ts";
import { createRedisProvider, type RedisProvider } from "../redis/provider.ts";

/** How the faked Redis is: answering, counting but answering too late, or refusing every call. */
export type FakeRedisState = "up" | "slow" | "down";

const STATES: readonly FakeRedisState[] = ["up", "slow", "down"];

/** What {@link createFakeRedisProvider} makes: a provider, and the state of the Redis that isn't there. */
export interface FakeRedisProvider extends Provider, AsyncDisposable {
  /** The deterministic strategy; promises its answers. */
  readonly absolute: FakeRedisLimiter;
  /** The probabilistic strategy; promises its answers. */
  readonly suppressed: FakeRedisSuppressed;
  /** Set it to see what your program does without Redis. It is `"up"` at first; recovery is at once. */
  redis: FakeRedisState;
  /** Ends what the provider has started. */
  close(): Promise<void>;
}

/**
 * A provider that takes the options of `createRedisProvider`, decides as that does, and needs no Redis: counts
 * are in memory, and no other provider shares them.
 *
 * @example
 * const provider = createFakeRedisProvider({ onFailure: "deny", clock: manualClock() });
 * provider.redis = "down";
 * console.log((await provider.absolute.inc("key", perSecond(5))).degraded); // true
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function createFakeRedisProvider(options: RedisOptions = {}): FakeRedisProvider {
  const fake = new FakeRedis(options);
  const close = () => fake.close();
  return {
    absolute: new FakeRedisLimiter((call) => fake.answer(({ absolute }) => call(absolute))),
    suppressed: new FakeRedisSuppressed((call) => fake.answer(({ suppressed }) => call(suppressed))),
    get redis() {
      return fake.state;
    },
    set redis(state) {
      fake.become(state);
    },
    windowMs: fake.windowMs,
    close,
    [Symbol.asyncDispose]: close,
  };
}

class FakeRedis {
  state: FakeRedisState = "up";
  readonly #options: RedisOptions;
  readonly #memory: Provider;
  #failing: RedisProvider;

  constructor(options: RedisOptions) {
    this.#options = options;
    this.#failing = this.#makeFailing();
    const { prefix: _, timeoutMs: __, onFailure: ___, ...limiterOptions } = options;
    this.#memory = createLocalProvider(limiterOptions);
  }

  become(state: FakeRedisState): void {
    if (!STATES.includes(state)) {
      throw new TrypemaError("INVALID_OPTION", `redis: got ${show(state)}, expected one of ${STATES.join(", ")}`);
    }
    // The new provider has a breaker that has seen no failure yet.
    if (state === "up") this.#failing = this.#makeFailing();
    this.state = state;
  }

  async answer<T>(ask: (provider: Provider) => Awaitable<T>): Promise<T> {
    const { state } = this;
    if (state === "down") return ask(this.#failing);
    const answer = await ask(this.#memory);
    return state === "slow" ? ask(this.#failing) : answer;
  }

  get windowMs(): number {
    return this.#memory.windowMs;
  }

  async close(): Promise<void> {
    await Promise.all([this.#memory.close(), this.#failing.close()]);
  }

  #makeFailing(): RedisProvider {
    const fail = () =>
      this.state === "slow" ? new Promise<never>(() => {}) : Promise.reject(new Error("the faked Redis is down"));
    return createRedisProvider({ sendCommand: fail }, this.#options);
  }
}

/** Calls the limiter that answers at present. */
type Ask<L extends Limiter> = <T>(call: (limiter: L) => Awaitable<T>) => Promise<T>;

/** The methods of {@link Limiter}, with promises. */
export class FakeRedisLimiter<L extends Limiter = Limiter> implements Limiter {
  protected readonly ask: Ask<L>;

  /** @internal */
  constructor(ask: Ask<L>) {
    this.ask = ask;
    const adjust = (key: string, delta: number) =>
      ask((limiter) => (adjusterOf(limiter) ?? limiter).adjust(key, delta));
    setAdjuster(this, { adjust });
  }

  inc(key: string, rate: Rate, count?: number): Promise<Decision> {
    return this.ask((limiter) => limiter.inc(key, rate, count));
  }

  isAllowed(key: string, count?: number, rate?: Rate): Promise<Decision> {
    return this.ask((limiter) => limiter.isAllowed(key, count, rate));
  }

  get(key: string): Promise<Usage> {
    return this.ask((limiter) => limiter.get(key));
  }

  adjust(key: string, delta: number): Promise<number> {
    return this.ask((limiter) => limiter.adjust(key, delta));
  }

  setIf(key: string, rate: Rate, condition: Condition, count: number, history?: History): Promise<SetIfResult> {
    return this.ask((limiter) => limiter.setIf(key, rate, condition, count, history));
  }

  delete(key: string): Promise<number> {
    return this.ask((limiter) => limiter.delete(key));
  }

  clear(): Promise<void> {
    return this.ask((limiter) => limiter.clear());
  }
}

/** The methods of {@link SuppressedLimiter}, with promises. */
export class FakeRedisSuppressed extends FakeRedisLimiter<SuppressedLimiter> implements SuppressedLimiter {
  getSuppressionFactor(key: string): Promise<number> {
    return this.ask((limiter) => limiter.getSuppressionFactor(key));
  }
}
