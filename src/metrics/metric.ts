// What a metric is, whoever exports it: Prometheus as text, `prom-client`, OpenTelemetry.

/** A metric as it is documented. */
export interface Metric {
  /** The name in Prometheus. */
  readonly name: string;
  /** The name in OpenTelemetry. */
  readonly otelName: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** The names of its labels, which OpenTelemetry calls attributes. */
  readonly labels: readonly string[];
}

/** One number of a metric. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Of a histogram: `"_bucket"`, `"_sum"` or `"_count"`. */
  readonly suffix?: string;
}

/** A metric with what it is now. */
export interface Reading {
  readonly metric: Metric;
  readonly samples: readonly Sample[];
}

/** The bounds of a histogram of times, in seconds. */
export const BUCKETS_SECONDS = [0.000_01, 0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1];

/** The metrics of limits for HTTP. */
export const HTTP_METRICS = {
  decisions: {
    name: "trypema_http_decisions_total",
    otelName: "trypema.http.decisions",
    type: "counter",
    help: "Decisions, by limiter and outcome.",
    labels: ["limiter", "strategy", "outcome", "admitted", "shadow", "degraded"],
  },
  failures: {
    name: "trypema_http_failures_total",
    otelName: "trypema.http.failures",
    type: "counter",
    help: "Failures, by limiter and kind.",
    labels: ["limiter", "kind"],
  },
  duration: {
    name: "trypema_http_decision_duration_seconds",
    otelName: "trypema.http.decision.duration",
    type: "histogram",
    help: "Time to a decision, by limiter.",
    labels: ["limiter"],
  },
} as const satisfies Record<string, Metric>;
