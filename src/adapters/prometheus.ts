// `trypema/prometheus`: metrics in a registry of `prom-client`.

import type { Registry } from "prom-client";
import { checkOptions } from "../core/options.ts";
import { HttpCounts } from "../http/http-counts.ts";
import type { FailureKind, Metrics, Observation } from "../http/index.ts";
import { HTTP_METRICS, type Metric, type Reading } from "../metrics/metric.ts";
import { checkProviders, PROVIDER_METRICS, type Providers, readProviders } from "../metrics/provider-metrics.ts";

export type { Providers } from "../metrics/provider-metrics.ts";

/** The options of {@link registerMetrics}. */
export interface RegisterOptions {
  /** Providers whose `stats()` are read with each scrape, by the names that they have in the label `provider`. */
  readonly providers?: Providers;
}

/**
 * Registers all metrics in your registry of `prom-client`. (This module doesn't import `prom-client`.) Returns the
 * option `metrics` for limits for HTTP: `rateLimit({ provider, rate, metrics })`. Register once for each registry:
 * `const metrics = registerMetrics(register, { providers: { main: provider } })`.
 *
 * @param registry `register`, the default registry of `prom-client`, or another registry
 * @throws {TrypemaError} `INVALID_OPTION`; and the error of a registry that already has a metric of the same name
 */
export function registerMetrics(registry: Registry, options: RegisterOptions = {}): Metrics {
  checkOptions("options", options, ["providers"]);
  const { providers = {} } = options;
  checkProviders(providers);
  const counts = new HttpCounts();
  for (const metric of Object.values(HTTP_METRICS))
    register(
      registry,
      metric,
      () => counts.read(),
      () => counts.clear(),
    );
  const read = readOnceATurn(() => readProviders(providers));
  for (const metric of PROVIDER_METRICS) register(registry, metric, read, () => {});
  return {
    decided: (observation: Observation) => counts.decided(observation),
    failed: (limiter: string, kind: FailureKind) => counts.failed(limiter, kind),
  };
}

/** Gauges of which the worst process matters, where `prom-client` adds up the processes of a cluster. */
const IS_LEVEL = /_(open|ratio|seconds)$/;

/** A scrape asks for each metric, all in one turn, and one look at the providers answers all of them. */
function readOnceATurn(read: () => readonly Reading[]): () => readonly Reading[] {
  let kept: readonly Reading[] | undefined;
  return () => {
    if (kept === undefined) {
      kept = read();
      void Promise.resolve().then(() => {
        kept = undefined;
      });
    }
    return kept;
  };
}

/**
 * A registry asks its metrics by `get`. An object that has it needs no class of `prom-client`, so this works with the
 * copy that the program has.
 */
function register(registry: Registry, metric: Metric, read: () => readonly Reading[], reset: () => void): void {
  const { name, help, type, labels: labelNames } = metric;
  const registered = {
    name,
    help,
    type,
    labelNames,
    aggregator: type === "gauge" && IS_LEVEL.test(name) ? "max" : "sum",
    reset,
    async get() {
      const { samples } = read().find((reading) => reading.metric.name === name)!;
      // A registry for OpenMetrics renames the object, because there a counter's name has no ending.
      const values = samples.map(({ labels, value, suffix }) =>
        suffix === undefined ? { labels, value } : { labels, value, metricName: `${name}${suffix}` },
      );
      return { name: this.name, help, type, aggregator: this.aggregator, values };
    },
  };
  registry.registerMetric(registered as unknown as Parameters<Registry["registerMetric"]>[0]);
}
