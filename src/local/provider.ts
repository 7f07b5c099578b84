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
import type { LocalSuppressed } from "./suppressed.ts";

/** When the background sweep looks for stale keys. It is about memory only: no decision depends on it. */
export interface CleanupOptions {
  /** How often stale keys are looked for, in ms; 1 to 2^31 - 1. Default 30 000. */
  readonly intervalMs?: number;
  /**
   * How long after its last hit a key is stale, in ms; at least `windowMs`, the default. With a longer window, made by
   * `withWindow`, it is at least that window.
   */
  readonly staleAfterMs?: number;
}

/** The options of {@link createLocalProvider}. */
export interface LocalOptions extends LimiterOptions {
  /**
   * How many keys each strategy keeps, 1 to 16 000 000, and 2 % more at times. Default 1 000 000. Past it expired
   * keys go first, then those with most of their capacity unused; a key at its limit is kept, whatever comes,
   * unless all are.
   */
  readonly maxKeys?: number;
  /** The background sweep for stale keys; `false` for none until `startCleanup`. */
  readonly cleanup?: CleanupOptions | false;
}

/** Counts in this process. Made by {@link createLocalProvider}. */
export interface LocalProvider extends Provider, Disposable {
  /** The deterministic strategy; answers at once. */
  readonly absolute: LocalAbsolute;
  /** The probabilistic strategy; answers at once. */
  readonly suppressed: LocalSuppressed;
  /**
   * A provider with another window: the same clock and cleanup, `maxKeys` keys of its own, closed with this one. The
   * same object for the same window.
   *
   * @throws {TrypemaError} `INVALID_OPTION`
   */
  withWindow(window: WindowOptions): LocalProvider;
  /** What this provider and those that `withWindow` made of it have counted. Costs next to nothing. */
  stats(): LocalStats;
  /** Starts the background sweep again after `stopCleanup`, or where `cleanup` is `false`. Not after `close`. */
  startCleanup(): void;
  /** Stops the background sweep until `startCleanup`. Limits go on, with memory bounded by `maxKeys`. */
  stopCleanup(): void;
  /** Stops the background sweep for good. Limits go on, with memory bounded by `maxKeys`. */
  close(): void;
}

/** Map takes 2^24 entries, and in the worst case all keys are in one. */
const MOST_KEYS = 16_000_000;

const OPTION_NAMES = [...LIMITER_OPTION_NAMES, "maxKeys", "cleanup"];

/**
 * A provider that counts in this process: exact, synchronous, without dependencies.
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
