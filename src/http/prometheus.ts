// Metrics as text, for a /metrics endpoint that Prometheus reads.

import type { FailureKind, Metrics, Observation } from "./metrics.ts";

/** {@link Metrics} that can be read as text. */
export interface PrometheusMetrics extends Metrics {
  /** The `Content-Type` of the text. */
  readonly contentType: string;
  /** Everything counted so far, in the text format 0.0.4. */
  text(): string;
}

const BUCKETS_SECONDS = [0.000_01, 0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1];

interface Histogram {
  /** By bucket, each on its own; the last is for what is beyond all. */
  readonly counts: number[];
  sumSeconds: number;
}

/**
 * Counts in memory: `trypema_http_decisions_total`, `trypema_http_failures_total` and the histogram
 * `trypema_http_decision_duration_seconds`. How much there is depends on the limiters, never on the clients.
 *
 * Give it to the limits, `rateLimit({ provider, rate, metrics })`, and let a route answer with its text:
 * `response.type(metrics.contentType).send(metrics.text())`.
 */
export function prometheusMetrics(): PrometheusMetrics {
  const decisions = new Map<string, number>();
  const failures = new Map<string, number>();
  const durations = new Map<string, Histogram>();
  const count = (counts: Map<string, number>, labels: string) => counts.set(labels, (counts.get(labels) ?? 0) + 1);
  return {
    contentType: "text/plain; version=0.0.4; charset=utf-8",
    decided({ limiter, strategy, outcome, admitted, shadow, degraded, durationMs }: Observation) {
      const flags = `admitted="${admitted}",shadow="${shadow}",degraded="${degraded}"`;
      count(decisions, `limiter="${limiter}",strategy="${strategy}",outcome="${outcome}",${flags}`);
      if (outcome === "skipped") return;
      let histogram = durations.get(limiter);
      if (histogram === undefined) {
        histogram = { counts: new Array<number>(BUCKETS_SECONDS.length + 1).fill(0), sumSeconds: 0 };
        durations.set(limiter, histogram);
      }
      const seconds = durationMs / 1_000;
      const bucket = BUCKETS_SECONDS.findIndex((most) => seconds <= most);
      histogram.counts[bucket === -1 ? BUCKETS_SECONDS.length : bucket]! += 1;
      histogram.sumSeconds += seconds;
    },
    failed(limiter: string, kind: FailureKind) {
      count(failures, `limiter="${limiter}",kind="${kind}"`);
    },
    text() {
      const lines = [
        ...counterLines("trypema_http_decisions_total", "Decisions, by limiter and outcome.", decisions),
        ...counterLines("trypema_http_failures_total", "Failures, by limiter and kind.", failures),
        ...histogramLines("trypema_http_decision_duration_seconds", "Time to a decision, by limiter.", durations),
      ];
      return `${lines.join("\n")}\n`;
    },
  };
}

function counterLines(name: string, help: string, counts: ReadonlyMap<string, number>): string[] {
  const samples = [...counts].map(([labels, count]) => `${name}{${labels}} ${count}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} counter`, ...samples];
}

function histogramLines(name: string, help: string, histograms: ReadonlyMap<string, Histogram>): string[] {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  for (const [limiter, { counts, sumSeconds }] of histograms) {
    let sum = 0;
    for (const [i, count] of counts.entries()) {
      sum += count;
      lines.push(`${name}_bucket{limiter="${limiter}",le="${BUCKETS_SECONDS[i] ?? "+Inf"}"} ${sum}`);
    }
    lines.push(`${name}_sum{limiter="${limiter}"} ${sumSeconds}`, `${name}_count{limiter="${limiter}"} ${sum}`);
  }
  return lines;
}
