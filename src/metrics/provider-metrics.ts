// The metrics of providers: each is a number of `stats()`. This table is the only place that names them.

import { show, TrypemaError } from "../core/errors.ts";
import { checkOptions } from "../core/options.ts";
import type { HybridStats, LocalStats, ProviderStats, RedisStats, StatsSource } from "../core/stats.ts";
import type { LimitStats } from "../core/tally.ts";
import type { Metric, Reading, Sample } from "./metric.ts";

/** The providers of a program, by the names that their metrics have in the label `provider`. */
export type Providers = Readonly<Record<string, StatsSource>>;

export interface ProviderMetric extends Metric {
  /** What the metric is for one provider; nothing where that kind of provider hasn't got it. */
  read(stats: ProviderStats): readonly Sample[];
}

const LIMIT_LABELS = ["provider", "strategy", "limit", "window"];

function ofLimits(name: string, otelName: string, help: string, read: (limit: LimitStats) => number): ProviderMetric {
  return {
    name,
    otelName,
    type: "counter",
    help,
    labels: LIMIT_LABELS,
    read: ({ limits }) => limits.map((limit) => ({ labels: labelsOf(limit), value: read(limit) })),
  };
}

function labelsOf({ strategy, name, windowMs }: LimitStats): Record<string, string> {
  return { strategy, limit: name, window: String(windowMs / 1_000) };
}

/** Makes the metrics of one kind of provider; a counter is known by its name, which ends with `_total`. */
function ofKind<Stats extends ProviderStats>(isKind: (stats: ProviderStats) => stats is Stats) {
  return (name: string, otelName: string, help: string, read: (stats: Stats) => number): ProviderMetric => ({
    name,
    otelName,
    type: name.endsWith("_total") ? "counter" : "gauge",
    help,
    labels: ["provider"],
    read: (stats) => (isKind(stats) ? [{ labels: {}, value: read(stats) }] : []),
  });
}

const local = ofKind((stats): stats is LocalStats => stats.kind === "local");
const redis = ofKind((stats): stats is RedisStats | HybridStats => stats.kind !== "local");
const hybrid = ofKind((stats): stats is HybridStats => stats.kind === "hybrid");
const withKeys = ofKind((stats): stats is LocalStats | HybridStats => stats.kind !== "redis");

const CALLS: ProviderMetric = {
  name: "trypema_calls_total",
  otelName: "trypema.calls",
  type: "counter",
  help: "Calls that were decided, by limit and outcome.",
  labels: [...LIMIT_LABELS, "outcome", "admitted"],
  read: ({ limits }) => limits.flatMap(callsOf),
};

function callsOf(limit: LimitStats): Sample[] {
  const sample = (outcome: string, admitted: boolean, value: number): Sample => ({
    labels: { ...labelsOf(limit), outcome, admitted: String(admitted) },
    value,
  });
  const samples = [sample("allowed", true, limit.allowed), sample("rejected", false, limit.rejected)];
  if (limit.strategy === "absolute") return samples;
  return [
    ...samples,
    sample("suppressed", true, limit.suppressedAdmitted),
    sample("suppressed", false, limit.suppressedDenied),
  ];
}

/** Of named limits only, because the calls without a name may be of many limits. */
const FACTOR: ProviderMetric = {
  name: "trypema_suppression_factor_total",
  otelName: "trypema.suppression_factor",
  type: "counter",
  help: "The suppression factors of all calls, added up; over the number of calls it is their mean. Named limits only.",
  labels: LIMIT_LABELS,
  read: ({ limits }) =>
    limits
      .filter(({ name, strategy }) => name !== "" && strategy === "suppressed")
      .map((limit) => ({ labels: labelsOf(limit), value: limit.suppressionFactorSum })),
};

export const PROVIDER_METRICS: readonly ProviderMetric[] = [
  CALLS,
  ofLimits(
    "trypema_near_limit_calls_total",
    "trypema.near_limit_calls",
    "Calls that were admitted and left less than a tenth of the capacity.",
    ({ nearLimit }) => nearLimit,
  ),
  ofLimits(
    "trypema_blocked_calls_total",
    "trypema.blocked_calls",
    "Calls that were rejected because their key is blocked.",
    ({ blocked }) => blocked,
  ),
  ofLimits(
    "trypema_degraded_calls_total",
    "trypema.degraded_calls",
    "Calls that the failure policy decided, because Redis could not.",
    ({ degraded }) => degraded,
  ),
  FACTOR,
  withKeys("trypema_keys", "trypema.keys", "Keys that this process has something of.", ({ keys }) => keys),
  local("trypema_blocked_keys", "trypema.blocked_keys", "Keys that are blocked.", ({ blockedKeys }) => blockedKeys),
  local(
    "trypema_bucket_nodes",
    "trypema.bucket_nodes",
    "Memory for buckets, in pieces of 32 bytes.",
    (stats) => stats.bucketNodes,
  ),
  local(
    "trypema_fullness_ratio",
    "trypema.fullness",
    "How much of maxKeys is taken; 1 is full.",
    (stats) => stats.fullness,
  ),
  local(
    "trypema_evictions_total",
    "trypema.evictions",
    "Live keys that were forgotten at maxKeys.",
    (stats) => stats.evictions,
  ),
  local("trypema_sweeps_total", "trypema.sweeps", "Sweeps for stale keys.", ({ sweeps }) => sweeps),
  local("trypema_swept_keys_total", "trypema.swept_keys", "Stale keys that sweeps forgot.", (stats) => stats.sweptKeys),
  local(
    "trypema_sweeping_seconds_total",
    "trypema.sweeping",
    "How long sweeps took, in seconds.",
    ({ sweepingMs }) => sweepingMs / 1_000,
  ),
  redis("trypema_breaker_open", "trypema.breaker_open", "1 while the breaker refuses calls, else 0.", (stats) =>
    Number(stats.isBreakerOpen),
  ),
  redis(
    "trypema_breaker_openings_total",
    "trypema.breaker_openings",
    "How often the breaker opened.",
    (stats) => stats.breakerOpenings,
  ),
  redis(
    "trypema_failed_calls_total",
    "trypema.failed_calls",
    "Calls whose error went to the caller.",
    (stats) => stats.failed,
  ),
  redis(
    "trypema_redis_timeouts_total",
    "trypema.redis.timeouts",
    "Calls to Redis that missed their deadline.",
    (stats) => stats.timeouts,
  ),
  redis(
    "trypema_redis_failures_total",
    "trypema.redis.failures",
    "Calls to Redis that failed, timeouts included.",
    (stats) => stats.failures,
  ),
  redis(
    "trypema_redis_scripts_total",
    "trypema.redis.scripts",
    "Scripts that were sent to Redis.",
    ({ scripts }) => scripts,
  ),
  redis(
    "trypema_redis_script_calls_total",
    "trypema.redis.script_calls",
    "Calls and reports in these scripts.",
    (stats) => stats.scriptCalls,
  ),
  hybrid(
    "trypema_hybrid_waited_calls_total",
    "trypema.hybrid.waited_calls",
    "Calls that waited for an answer of Redis.",
    (stats) => stats.waited,
  ),
  hybrid(
    "trypema_hybrid_reports_total",
    "trypema.hybrid.reports",
    "Reports that were sent to Redis.",
    ({ reports }) => reports,
  ),
  hybrid(
    "trypema_hybrid_lost_reports_total",
    "trypema.hybrid.lost_reports",
    "Reports without an answer.",
    (stats) => stats.reportsLost,
  ),
  hybrid(
    "trypema_hybrid_reported_total",
    "trypema.hybrid.reported",
    "How much was admitted here and reported.",
    (stats) => stats.reported,
  ),
  hybrid(
    "trypema_hybrid_granted_total",
    "trypema.hybrid.granted",
    "How much capacity Redis granted as leases.",
    (stats) => stats.granted,
  ),
  hybrid(
    "trypema_hybrid_leased",
    "trypema.hybrid.leased",
    "How much capacity is leased and not spent.",
    ({ leased }) => leased,
  ),
  hybrid(
    "trypema_hybrid_unconfirmed_keys",
    "trypema.hybrid.unconfirmed_keys",
    "Keys of which Redis has not confirmed all hits.",
    ({ unconfirmedKeys }) => unconfirmedKeys,
  ),
  hybrid(
    "trypema_hybrid_unconfirmed_age_seconds",
    "trypema.hybrid.unconfirmed_age",
    "The age of the oldest hit that Redis has not confirmed, in seconds.",
    ({ oldestUnconfirmedMs }) => oldestUnconfirmedMs / 1_000,
  ),
];

/** All metrics of all providers, as they are now. */
export function readProviders(providers: Providers): readonly Reading[] {
  const all = Object.entries(providers).map(([provider, source]) => ({ provider, stats: source.stats() }));
  return PROVIDER_METRICS.map((metric) => ({
    metric,
    samples: all.flatMap(({ provider, stats }) =>
      metric.read(stats).map(({ labels, value }) => ({ labels: { provider, ...labels }, value })),
    ),
  }));
}

/** @throws {TrypemaError} `INVALID_OPTION` unless each is a provider of this package */
export function checkProviders(providers: Providers): void {
  checkOptions("providers", providers, Object.keys(providers ?? {}));
  for (const [name, source] of Object.entries(providers)) {
    if (typeof source?.stats === "function") continue;
    throw new TrypemaError(
      "INVALID_OPTION",
      `providers.${name}: got ${show(source)}, expected a provider with stats()`,
    );
  }
}
