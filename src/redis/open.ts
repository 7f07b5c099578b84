// What the providers that count in Redis share: their options, the way to Redis, and the failure policy.

import { show, TrypemaError } from "../core/errors.ts";
import { familyOf, type NamedLimit, type SharedDenials } from "../core/family.ts";
import {
  checkOptions,
  integerOption,
  type LimiterOptions,
  resolveLimiterOptions,
  timerOption,
} from "../core/options.ts";
import type { RedisStats } from "../core/stats.ts";
import { Watch } from "../core/watch.ts";
import { createLocalProvider, type LocalProvider } from "../local/provider.ts";
import { sendingIncs, sendingPeeks, sendingReports } from "./batch.ts";
import { Breaker } from "./breaker.ts";
import { CallQueue, FEW_CALLS, type QueueParts } from "./call-queue.ts";
import { unlinkAll } from "./clear.ts";
import { connectionOf, type RedisClient } from "./client.ts";
import { KeyNames } from "./keys.ts";
import type { Backend, FailurePolicy, RedisParts, RedisSettings } from "./parts.ts";
import { runScript } from "./script.ts";
import { sharingDenials } from "./shared-denials.ts";
import { sendingTakes } from "./take-plan.ts";

/** The options of `createRedisProvider`; `createHybridProvider` has one more. */
export interface RedisOptions extends LimiterOptions {
  /** The beginning of the names of all Redis keys: 1 to 100 characters, no braces. Default `"trypema"`. */
  readonly prefix?: string;
  /** How long a call waits for Redis, in ms, whatever the client's own queue does; 1 to 2^31 - 1. Default 200. */
  readonly timeoutMs?: number;
  /** Who decides when Redis can't; see {@link FailurePolicy}. Default `"throw"`, of a hybrid provider `"local"`. */
  readonly onFailure?: FailurePolicy;
  /**
   * How many calls that are made at the same time may share a script: 1 to 1000, default 40. A call never waits for
   * other calls to come. With `false` each call has a script of its own.
   */
  readonly batch?: { readonly maxCalls?: number } | false;
}

export const REDIS_OPTION_NAMES: readonly (keyof RedisOptions)[] = ["prefix", "timeoutMs", "onFailure", "batch"];

const POLICIES: readonly FailurePolicy[] = ["throw", "allow", "deny", "local"];

/** A batch of so many calls holds Redis for half a millisecond at most. */
const MAX_CALLS = 40;
/** A report costs Redis as much as so many calls in a batch. */
const CALLS_IN_REPORT = 3;
/** A look holds Redis about as long as so many calls do. */
const CALLS_IN_PEEK = 2;
/** A take of three limits with keys of its own holds Redis three times as long as a call: 20 of them for 0.4 ms. */
const CALLS_IN_TAKE = 2;

/** What the limiters of a family that counts in Redis share. */
export interface OpenRedis {
  /** Of the window that the options name. */
  readonly settings: RedisSettings;
  readonly backend: Backend;
  readonly policy: FailurePolicy;
  /** What the limiter of a limit is made of. */
  partsOf(limit: NamedLimit): RedisParts;
  readonly watch: Watch;
  readonly sharedDenials: SharedDenials;
  stats(): RedisStats;
  /** The provider that decides under the failure policy `"local"`. */
  local(): LocalProvider;
  close(): Promise<void>;
}

/**
 * @param watch where a family of providers changes its client, as the fake does: the watch that it has
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function openRedis(
  client: RedisClient,
  options: RedisOptions,
  defaultPolicy: FailurePolicy,
  watch = new Watch(options.onEvent),
): OpenRedis {
  const { prefix = "trypema", onFailure = defaultPolicy, timeoutMs: _, batch, ...limiterOptions } = options;
  const resolved = resolveLimiterOptions(options);
  const settings = {
    ...resolved,
    timeoutMs: timerOption("timeoutMs", options.timeoutMs, 200),
    callersClock: options.clock === undefined ? undefined : resolved.clock,
  };
  checkPrefix(prefix);
  checkPolicy(onFailure);
  watch.subject = `the provider with the prefix "${prefix}"`;
  const backend = backendOf(client, settings, maxCallsFrom(batch), watch);
  let opened: LocalProvider | undefined;
  const local = () => {
    // Its sweeps and evictions are in no stats of this provider, so nobody is told of them.
    opened ??= createLocalProvider({ ...limiterOptions, onEvent: false });
    return opened;
  };
  const partsOf = (limit: NamedLimit): RedisParts => {
    const { windowMs, bucketMs, hardLimitFactor } = limit;
    const names = new KeyNames(prefix, limit);
    return {
      settings: { ...settings, windowMs, bucketMs, hardLimitFactor },
      backend,
      names,
      store: { place: client, part: names.start },
      watch,
      tally: watch.tallyOf(limit),
      policy: onFailure,
      local: () => familyOf(local())!.limiter(limit),
    };
  };
  const stats = () => statsOf(watch, backend);
  const close = async () => {
    await watch.close();
    opened?.close();
  };
  const sharedDenials = sharingDenials(backend, `${prefix}:limited`, settings.callersClock);
  return { settings, backend, policy: onFailure, partsOf, watch, sharedDenials, stats, local, close };
}

function statsOf(watch: Watch, backend: Backend): RedisStats {
  const { breakerOpenings, timeouts, failures, scripts, scriptCalls, degraded, failed } = watch.counts;
  return {
    kind: "redis",
    limits: watch.tallies.map(({ stats }) => stats),
    isBreakerOpen: backend.isOut,
    breakerOpenings,
    timeouts,
    failures,
    scripts,
    scriptCalls,
    degraded,
    failed,
  };
}

function backendOf(client: RedisClient, settings: RedisSettings, maxCalls: number, watch: Watch): Backend {
  const connection = connectionOf(client);
  const breaker = new Breaker(settings.timeoutMs, watch);
  const { counts } = watch;
  const parts = { connection, breaker, counts };
  const { incs, takes, peeks, reports } = queuesOf(parts, settings, maxCalls);
  // Redis has to see calls in the order in which they were made.
  const flush = () => {
    for (const queue of [incs, takes, peeks, reports]) queue.flush();
  };
  return {
    inc(call) {
      takes.flush();
      peeks.flush();
      incs.enter(call);
    },
    take(call) {
      incs.flush();
      peeks.flush();
      return takes.ask(call);
    },
    peek(call) {
      incs.flush();
      takes.flush();
      return peeks.ask(call);
    },
    isBySlot: connection.isCluster,
    report: (call) => reports.ask(call),
    run(script, keys, args, isOwed) {
      flush();
      return breaker.run(() => {
        counts.scripts++;
        counts.scriptCalls++;
        return runScript(connection, script, keys, args);
      }, isOwed);
    },
    forget(start) {
      flush();
      return unlinkAll(connection, start, (send) => breaker.run(send));
    },
    checkAccepts: () => breaker.checkAccepts(),
    keepTimer: () => breaker.keepTimer(),
    get isOut() {
      return breaker.isOpen;
    },
    get refuses() {
      return breaker.refuses;
    },
  };
}

function queuesOf(parts: QueueParts, { callersClock }: RedisSettings, maxCalls: number) {
  return {
    incs: new CallQueue(parts, sendingIncs(callersClock !== undefined), maxCalls, FEW_CALLS),
    takes: new CallQueue(parts, sendingTakes, Math.ceil(maxCalls / CALLS_IN_TAKE), FEW_CALLS),
    peeks: new CallQueue(parts, sendingPeeks, Math.ceil(maxCalls / CALLS_IN_PEEK), 0),
    reports: new CallQueue(parts, sendingReports, Math.ceil(maxCalls / CALLS_IN_REPORT), 1),
  };
}

function maxCallsFrom(batch: RedisOptions["batch"]): number {
  if (batch === false) return 1;
  if (batch === undefined) return MAX_CALLS;
  checkOptions("batch", batch, ["maxCalls"], "false or an object");
  return integerOption("batch.maxCalls", batch.maxCalls, MAX_CALLS, 1, 1_000);
}

/** Braces would take the hash tag of Redis Cluster from the key, so its Redis keys could be on different nodes. */
function checkPrefix(prefix: unknown): void {
  if (typeof prefix === "string" && /^[^{}]{1,100}$/.test(prefix) && prefix.isWellFormed()) return;
  throw new TrypemaError("INVALID_OPTION", `prefix: got ${show(prefix)}, expected 1 to 100 characters without { and }`);
}

function checkPolicy(policy: unknown): void {
  if (POLICIES.some((known) => known === policy)) return;
  throw new TrypemaError("INVALID_OPTION", `onFailure: got ${show(policy)}, expected one of ${POLICIES.join(", ")}`);
}
