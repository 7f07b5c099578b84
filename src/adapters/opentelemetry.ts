// `trypema/opentelemetry`: metrics through the OpenTelemetry API.

import { type Meter, type MeterProvider, metrics } from "@opentelemetry/api";
import type { Metrics } from "../http/index.ts";

/**
 * Records `trypema.http.decisions` and `trypema.http.failures`, counters, and `trypema.http.decision.duration`, a
 * histogram in seconds. Their attributes are the limiter's name, the strategy and the outcome, never a client's key.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60), metrics: openTelemetryMetrics() }))`
 *
 * @param meter default: the one named `trypema` of the global provider, also of one that is registered later. A meter
 *   that you got from the API before your SDK was registered records nothing, ever: give none, or get it afterwards
 */
export function openTelemetryMetrics(meter?: Meter): Metrics {
  const own = meter === undefined ? undefined : instrumentsOf(meter);
  const instruments = own === undefined ? globalInstruments() : () => own;
  return {
    decided({ durationMs, ...attributes }) {
      const { decisions, duration } = instruments();
      decisions.add(1, attributes);
      if (attributes.outcome !== "skipped") duration.record(durationMs / 1_000, { limiter: attributes.limiter });
    },
    failed(limiter, kind) {
      instruments().failures.add(1, { limiter, kind });
    },
  };
}

function instrumentsOf(meter: Meter) {
  return {
    decisions: meter.createCounter("trypema.http.decisions", { description: "Decisions, by limiter and outcome." }),
    failures: meter.createCounter("trypema.http.failures", { description: "Failures, by limiter and kind." }),
    duration: meter.createHistogram("trypema.http.decision.duration", {
      description: "Time to a decision, by limiter.",
      unit: "s",
      advice: { explicitBucketBoundaries: [0.000_01, 0.000_1, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1] },
    }),
  };
}

/**
 * The instruments of the present global provider. The API passes tracers on to an SDK that is registered later, but not
 * meters: an instrument that was made without an SDK never records anything.
 */
function globalInstruments(): () => ReturnType<typeof instrumentsOf> {
  let provider: MeterProvider | undefined;
  let instruments: ReturnType<typeof instrumentsOf> | undefined;
  return () => {
    const current = metrics.getMeterProvider();
    if (instruments === undefined || current !== provider) {
      provider = current;
      instruments = instrumentsOf(current.getMeter("trypema"));
    }
    return instruments;
  };
}
