/// <reference lib="esnext.disposable" preserve="true" />

import {
  checkOptions,
  integerOption,
  LIMITER_OPTION_NAMES,
  type LimiterOptions,
  type LimiterSettings,
  numberOption,
  resolveLimiterOptions,
  timerOption,
} from "../core/options.ts";
import type { LocalStats } from "../core/stats.ts";
import type { Provider, WindowOptions } from "../core/types.ts";
import { Watch } from "../core/watch.ts";
import type { LocalAbsolute } from "./absolute.ts";
import { Cleanup } from "./cleanup.ts";
import { LocalFamily } from "./family.ts";
import { MOST_KEYS } from "./key-index.ts";
import type { LocalSuppressed } from "./suppressed.ts";

/** When the background sweep looks for stale keys. The sweep only saves memory: no decision depends on it. */
export interface CleanupOptions {
  /** The time between two sweeps for stale keys, in ms; 1 to 2^31 - 1. Default 30 000. */
  readonly intervalMs?: number;
  /**
   * A key is stale this long after its last hit, in ms; at least `windowMs`, which is the default. For a longer window
   * of `withWindow` it is at least that window.
   */
  readonly staleAfterMs?: number;
}

/** The options of {@link createLocalProvider}. */
export interface LocalOptions extends LimiterOptions {
  /**
   * How many keys each strategy keeps, 1 to 16 000 000, and sometimes 2 % more. Default 1 000 000. When more keys come,
   * expired keys are forgotten first, then keys with most of their capacity unused. A key at its limit is kept, unless
   * all keys are at their limit.
   */
  readonly maxKeys?: number;
  /** The background sweep for stale keys; `false`: no sweep until `startCleanup`. */
  readonly cleanup?: CleanupOptions | false;
}

/** Counts in this process. Made by {@link createLocalProvider}. */
export interface LocalProvider extends Provider, Disposable {
  /** The deterministic strategy; answers at once. */
  readonly absolute: LocalAbsolute;
  /** The probabilistic strategy; answers at once. */
  readonly suppressed: LocalSuppressed;
  /**
   * Returns a provider with another window. It has the same clock and cleanup and its own `maxKeys` keys, and is closed
   * together with this provider. For the same window it is the same object.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): LocalProvider;
  /** Returns what this provider and the providers of its `withWindow` have counted. It takes almost no time. */
  stats(): LocalStats;
  /** Starts the background sweep after `stopCleanup`, or if `cleanup` is `false`. After `close` it does nothing. */
  startCleanup(): void;
  /** Stops the background sweep until `startCleanup`. Limits go on, with memory bounded by `maxKeys`. */
  stopCleanup(): void;
  /** Stops the background sweep for good. Limits go on, with memory bounded by `maxKeys`. */
  close(): void;
}

const OPTION_NAMES = [...LIMITER_OPTION_NAMES, "maxKeys", "cleanup"];

/**
 * Makes a provider that counts in this process. It is exact and answers at once.
 *
 * @example
 * const provider = createLocalProvider({ windowMs: 10_000 });
 * const decision = provider.absolute.inc("user-123", perSecond(5.5));
 * if (!decision.allowed) console.log(`retry in ${decision.retryAfterMs} ms`);
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function createLocalProvider(options: LocalOptions = {}): LocalProvider {
  checkOptions("options", options, OPTION_NAMES);
  const settings = resolveLimiterOptions(options);
  const maxKeys = integerOption("maxKeys", options.maxKeys, 1_000_000, 1, MOST_KEYS);
  const watch = new Watch(options.onEvent);
  const cleanup = cleanupOf(options.cleanup, settings, watch);
  return new LocalFamily({ settings, maxKeys, cleanup, watch }).provider(settings);
}

function cleanupOf(options: CleanupOptions | false = {}, { windowMs, clock }: LimiterSettings, watch: Watch): Cleanup {
  if (options !== false) checkOptions("cleanup", options, ["intervalMs", "staleAfterMs"], "an object or false");
  const { intervalMs, staleAfterMs } = options || {};
  return new Cleanup(
    clock,
    timerOption("cleanup.intervalMs", intervalMs, 30_000),
    numberOption("cleanup.staleAfterMs", staleAfterMs, windowMs, windowMs, Number.MAX_SAFE_INTEGER),
    options === false ? "stopped" : "running",
    watch,
  );
}
