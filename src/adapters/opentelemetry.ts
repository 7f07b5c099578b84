// `trypema/opentelemetry`: metrics through the OpenTelemetry API.

import { type Meter, metrics } from "@opentelemetry/api";
import type { Metrics } from "../http/index.ts";

/**
 * Records `trypema.http.decisions` and `trypema.http.failures`, counters, and `trypema.http.decision.duration`, a
 * histogram in seconds. Their attributes are the limiter's name and the outcome, never a client's key.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60), metrics: openTelemetryMetrics() }))`
 *
 * @param meter default: the one named `trypema` of the global provider
 */
export function openTelemetryMetrics(meter: Meter = metrics.getMeter("trypema")): Metrics {
  const decisions = meter.createCounter("trypema.http.decisions", {
    description: "Decisions, by limiter and outcome.",
  });
  const failures = meter.createCounter("trypema.http.failures", { description: "Failures, by limiter and kind." });
  const duration = meter.createHistogram("trypema.http.decision.duration", {
    description: "Time to a decision, by limiter.",
    unit: "s",
    advice: { explicitBucketBoundaries: [0.000_01, 0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1] },
  });
  return {
    decided({ durationMs, ...attributes }) {
      decisions.add(1, attributes);
      duration.record(durationMs / 1_000, { limiter: attributes.limiter });
    },
    failed(limiter, kind) {
      failures.add(1, { limiter, kind });
    },
  };
}
