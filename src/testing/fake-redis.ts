/// <reference lib="esnext.disposable" preserve="true" />

// The Redis provider without Redis, for tests. While the fake is "up" a Local provider answers, because it decides as
// Redis does; the contract suite runs over both. Otherwise a real Redis provider answers, on a client that fails. So
// the deadlines, the breaker, the failure policies and the errors are the real ones.

import { adjusterOf, setAdjuster } from "../core/adjuster.ts";
import { show, TrypemaError } from "../core/errors.ts";
import {
  type Ask,
  type Family,
  familyOf,
  Members,
  type NamedLimit,
  type TakeDecisions,
  type Window,
  withKey,
} from "../core/family.ts";
import { checkOptions, LIMITER_OPTION_NAMES, resolveLimiterOptions } from "../core/options.ts";
import type { Rate } from "../core/rate.ts";
import type { RedisStats } from "../core/stats.ts";
import { type Tally, tallied } from "../core/tally.ts";
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
  WindowOptions,
} from "../core/types.ts";
import { Watch } from "../core/watch.ts";
import { createLocalProvider } from "../local/provider.ts";
import { RedisFamily } from "../redis/family.ts";
import { openRedis, REDIS_OPTION_NAMES, type RedisOptions } from "../redis/open.ts";
import type { RedisProvider } from "../redis/provider.ts";

/** What the fake Redis does: it answers, it counts but answers too late, or it refuses every call. */
export type FakeRedisState = "up" | "slow" | "down";

const STATES: readonly FakeRedisState[] = ["up", "slow", "down"];

/** What {@link createFakeRedisProvider} makes: a provider, and the state of the Redis that isn't there. */
export interface FakeRedisProvider extends Provider, AsyncDisposable {
  /** The deterministic strategy; its methods return promises. */
  readonly absolute: FakeRedisLimiter;
  /** The probabilistic strategy; its methods return promises. */
  readonly suppressed: FakeRedisSuppressed;
  /**
   * The state of the fake Redis, `"up"` at first. Set it to see what your program does without Redis. After `"up"`,
   * calls succeed at once.
   */
  redis: FakeRedisState;
  /** What the provider has counted, as of a Redis provider. Each call that the fake answers is a script of its own. */
  stats(): RedisStats;
  /** Returns a provider with another window, on the same fake Redis. For the same window it is the same object. */
  withWindow(window: WindowOptions): FakeRedisProvider;
  /** Ends what the provider has started. */
  close(): Promise<void>;
}

/**
 * Makes a provider for tests that needs no Redis. It has the options of `createRedisProvider` and decides in the same
 * way. Its counts are in memory, and no other provider shares them.
 *
 * @example
 * const provider = createFakeRedisProvider({ onFailure: "deny", clock: manualClock() });
 * provider.redis = "down";
 * console.log((await provider.absolute.inc("key", perSecond(5))).degraded); // true
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function createFakeRedisProvider(options: RedisOptions = {}): FakeRedisProvider {
  return new FakeFamily(new FakeRedis(options)).provider(resolveLimiterOptions(options));
}

class FakeFamily extends Members<FakeRedisProvider, FakeRedisLimiter> {
  readonly answersLater = true;
  readonly sharedDenials = undefined;
  readonly #fake: FakeRedis;

  constructor(fake: FakeRedis) {
    super();
    this.#fake = fake;
  }

  get hardLimitFactor(): number {
    return this.#fake.memory.hardLimitFactor;
  }

  get watch(): Watch {
    return this.#fake.watch;
  }

  nowMs(): number {
    return this.#fake.memory.nowMs();
  }

  take(asks: readonly Ask[], key?: string): Promise<TakeDecisions> {
    const keyed = withKey(asks, key);
    const limitOf = ({ limiter }: Ask) => (limiter as FakeRedisLimiter).limit;
    return this.#fake.answer(
      (family) => family.take(keyed.map((ask) => ({ ...ask, limiter: family.limiter(limitOf(ask)) }))),
      ({ decisions }) => void tallied(keyed, decisions, (ask) => this.watch.tallyOf(limitOf(ask))),
    );
  }

  protected makeProvider(window: Window): FakeRedisProvider {
    const fake = this.#fake;
    const close = () => fake.close();
    return {
      absolute: this.ownLimiter("absolute", window),
      suppressed: this.ownLimiter("suppressed", window) as FakeRedisSuppressed,
      get redis() {
        return fake.state;
      },
      set redis(state) {
        fake.become(state);
      },
      windowMs: window.windowMs,
      withWindow: this.withWindow,
      stats: () => fake.stats(),
      close,
      [Symbol.asyncDispose]: close,
    };
  }

  protected makeLimiter(limit: NamedLimit): FakeRedisLimiter {
    const Strategy = limit.strategy === "absolute" ? FakeRedisLimiter : FakeRedisSuppressed;
    const ask: AskLimiter = (call, note) => this.#fake.answer((family) => call(family.limiter(limit)), note);
    return new Strategy(limit, this.watch.tallyOf(limit), ask);
  }
}

class FakeRedis {
  state: FakeRedisState = "up";
  readonly watch: Watch;
  readonly #options: RedisOptions;
  /** While the fake is up. */
  readonly memory: Family;
  #failing: RedisProvider;
  readonly #closeMemory: () => Awaitable<void>;

  constructor(options: RedisOptions) {
    checkOptions("options", options, [...LIMITER_OPTION_NAMES, ...REDIS_OPTION_NAMES]);
    this.#options = options;
    this.watch = new Watch(options.onEvent);
    this.#failing = this.#makeFailing();
    const { prefix: _, timeoutMs: __, onFailure: ___, batch: ____, ...limiterOptions } = options;
    // Its sweeps and evictions are none of a Redis provider, so nobody is told of them.
    const memory = createLocalProvider({ ...limiterOptions, onEvent: false });
    this.memory = familyOf(memory)!;
    this.#closeMemory = () => memory.close();
  }

  become(state: FakeRedisState): void {
    if (!STATES.includes(state)) {
      throw new TrypemaError("INVALID_OPTION", `redis: got ${show(state)}, expected one of ${STATES.join(", ")}`);
    }
    // The new provider has a breaker that has seen no failure yet.
    if (state === "up") {
      if (this.stats().isBreakerOpen) this.watch.noteClosed();
      this.#failing = this.#makeFailing();
    }
    this.state = state;
  }

  /** @param note called with an answer that comes in time. The failing provider counts the other calls itself */
  async answer<T>(ask: (family: Family) => Awaitable<T>, note?: (answer: T) => void): Promise<T> {
    const { state } = this;
    const failing = familyOf(this.#failing)!;
    if (state === "down") return ask(failing);
    const answer = await ask(this.memory);
    if (state === "slow") return ask(failing);
    const { counts } = this.watch;
    counts.scripts++;
    counts.scriptCalls++;
    if (this.watch.isDegraded) this.watch.noteAnswer();
    note?.(answer);
    return answer;
  }

  /** The counts of all states, because the failing provider has the same watch. */
  stats(): RedisStats {
    return this.#failing.stats();
  }

  async close(): Promise<void> {
    await Promise.all([this.#closeMemory(), this.#failing.close()]);
  }

  #makeFailing(): RedisProvider {
    const fail = () =>
      this.state === "slow" ? new Promise<never>(() => {}) : Promise.reject(new Error("the faked Redis is down"));
    const redis = openRedis({ sendCommand: fail }, this.#options, "throw", this.watch);
    return new RedisFamily(redis).provider(redis.settings);
  }
}

/** Calls the limiter that answers at present. An answer of the memory is given to `note`. */
type AskLimiter = <T>(call: (limiter: Limiter) => Awaitable<T>, note?: (answer: T) => void) => Promise<T>;

/** The methods of {@link Limiter}, with promises. */
export class FakeRedisLimiter implements Limiter {
  /** @internal */
  readonly limit: NamedLimit;
  protected readonly ask: AskLimiter;
  readonly #tally: Tally;

  /** @internal */
  constructor(limit: NamedLimit, tally: Tally, ask: AskLimiter) {
    this.limit = limit;
    this.#tally = tally;
    this.ask = ask;
    const adjust = (key: string, delta: number) =>
      ask((limiter) => (adjusterOf(limiter) ?? limiter).adjust(key, delta));
    setAdjuster(this, { adjust });
  }

  inc(key: string, rate: Rate, count?: number): Promise<Decision> {
    return this.ask(
      (limiter) => limiter.inc(key, rate, count),
      (decision) => void this.#tally.add(decision, key),
    );
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

  setRate(key: string, rate: Rate): Promise<Rate | undefined> {
    return this.ask((limiter) => limiter.setRate(key, rate));
  }

  block(key: string, ms: number): Promise<void> {
    return this.ask((limiter) => limiter.block(key, ms));
  }

  unblock(key: string): Promise<void> {
    return this.ask((limiter) => limiter.unblock(key));
  }

  delete(key: string): Promise<number> {
    return this.ask((limiter) => limiter.delete(key));
  }

  clear(): Promise<void> {
    return this.ask((limiter) => limiter.clear());
  }
}

/** The methods of {@link SuppressedLimiter}, with promises. */
export class FakeRedisSuppressed extends FakeRedisLimiter implements SuppressedLimiter {
  getSuppressionFactor(key: string): Promise<number> {
    return this.ask((limiter) => (limiter as SuppressedLimiter).getSuppressionFactor(key));
  }
}
