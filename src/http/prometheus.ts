// Metrics as text, for a /metrics endpoint that Prometheus reads.

import { checkOptions } from "../core/options.ts";
import type { Reading } from "../metrics/metric.ts";
import { checkProviders, type Providers, readProviders } from "../metrics/provider-metrics.ts";
import { HttpCounts } from "./http-counts.ts";
import type { FailureKind, Metrics, Observation } from "./metrics.ts";

/** {@link Metrics} that can be read as text. */
export interface PrometheusMetrics extends Metrics {
  /** The `Content-Type` of the text. */
  readonly contentType: string;
  /** Everything counted so far, in the text format 0.0.4. */
  text(): string;
}

/** The options of {@link prometheusMetrics}. */
export interface PrometheusOptions {
  /** Providers whose `stats()` are in the text too, by the names that they have in the label `provider`. */
  readonly providers?: Providers;
}

/**
 * Counts in memory: `trypema_http_decisions_total`, `trypema_http_failures_total` and the histogram
 * `trypema_http_decision_duration_seconds`; and reads the metrics of the providers that it is given. The number of
 * metrics depends on the limiters, never on the clients.
 *
 * Give it to the limits, `rateLimit({ provider, rate, metrics })`, and let a route answer with its text:
 * `response.type(metrics.contentType).send(metrics.text())`. If your program uses `prom-client`, use
 * `trypema/prometheus` instead.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function prometheusMetrics(options: PrometheusOptions = {}): PrometheusMetrics {
  checkOptions("options", options, ["providers"]);
  const { providers = {} } = options;
  checkProviders(providers);
  const counts = new HttpCounts();
  return {
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    decided: (observation: Observation) => counts.decided(observation),
    failed: (limiter: string, kind: FailureKind) => counts.failed(limiter, kind),
    text: () => `${[...counts.read(), ...readProviders(providers)].flatMap(linesOf).join("\n")}\n`,
  };
}

function linesOf({ metric: { name, help, type, labels: names }, samples }: Reading): string[] {
  if (names.includes("provider") && samples.length === 0) return [];
  const lines = samples.map(({ labels, value, suffix = "" }) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${suffix}{${pairs.join(",")}} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines];
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
