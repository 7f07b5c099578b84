// `trypema/opentelemetry`: metrics through the OpenTelemetry API.

import { type Meter, type MeterProvider, metrics, type Observable } from "@opentelemetry/api";
import { checkOptions } from "../core/options.ts";
import { BackgroundTimer } from "../core/timer.ts";
import type { Metrics } from "../http/index.ts";
import { BUCKETS_SECONDS, HTTP_METRICS, type Metric } from "../metrics/metric.ts";
import { checkProviders, PROVIDER_METRICS, type Providers, readProviders } from "../metrics/provider-metrics.ts";

export type { Providers } from "../metrics/provider-metrics.ts";

/** How often the global provider is looked at, because nothing tells when an SDK is registered. */
const LOOK_MS = 1_000;

/** The options of {@link openTelemetryMetrics}. */
export interface OpenTelemetryOptions {
  /**
   * Default: the meter `trypema` of the global provider, which may be registered later. A meter that you get from the
   * API before your SDK is registered never records anything: give no meter, or get it afterwards.
   */
  readonly meter?: Meter;
  /** Providers whose `stats()` are observed, by the names that they have in the attribute `provider`. */
  readonly providers?: Providers;
}

/**
 * Records `trypema.http.decisions` and `trypema.http.failures`, counters, and `trypema.http.decision.duration`, a
 * histogram in seconds, and observes the metrics of the given providers. Attributes are names of limiters, strategies
 * and outcomes, never a client's key.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60), metrics: openTelemetryMetrics({ providers: { provider } }) }))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function openTelemetryMetrics(options: OpenTelemetryOptions = {}): Metrics {
  checkOptions("options", options, ["meter", "providers"]);
  const { meter, providers = {} } = options;
  checkProviders(providers);
  const own = meter === undefined ? undefined : instrumentsOf(meter, providers);
  const instruments = own === undefined ? globalInstruments(providers) : () => own;
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

function instrumentsOf(meter: Meter, providers: Providers) {
  const { decisions, failures, duration } = HTTP_METRICS;
  if (Object.keys(providers).length > 0) observe(meter, providers);
  return {
    decisions: meter.createCounter(decisions.otelName, { description: decisions.help }),
    failures: meter.createCounter(failures.otelName, { description: failures.help }),
    duration: meter.createHistogram(duration.otelName, {
      description: duration.help,
      unit: "s",
      advice: { explicitBucketBoundaries: BUCKETS_SECONDS },
    }),
  };
}

/** Has the meter read all metrics of the providers with each collection, at one look. */
function observe(meter: Meter, providers: Providers): void {
  const observables = new Map<string, Observable>(
    PROVIDER_METRICS.map((metric) => [metric.name, observableOf(meter, metric)]),
  );
  meter.addBatchObservableCallback(
    (result) => {
      for (const { metric, samples } of readProviders(providers)) {
        const observable = observables.get(metric.name)!;
        for (const { labels, value } of samples) result.observe(observable, value, labels);
      }
    },
    [...observables.values()],
  );
}

function observableOf(meter: Meter, { name, otelName, type, help }: Metric): Observable {
  const options = { description: help, ...(/_seconds(_total)?$/.test(name) ? { unit: "s" } : {}) };
  return type === "counter"
    ? meter.createObservableCounter(otelName, options)
    : meter.createObservableGauge(otelName, options);
}

/**
 * The instruments of the present global provider. The API passes tracers on to an SDK that is registered later, but not
 * meters: an instrument that was made without an SDK never records anything. A decision looks whether there is another
 * provider than before. Providers are observed without decisions, so a timer looks too.
 */
function globalInstruments(providers: Providers): () => ReturnType<typeof instrumentsOf> {
  let provider: MeterProvider | undefined;
  let instruments: ReturnType<typeof instrumentsOf> | undefined;
  const current = () => {
    const found = metrics.getMeterProvider();
    if (instruments === undefined || found !== provider) {
      provider = found;
      instruments = instrumentsOf(found.getMeter("trypema"), providers);
    }
    return instruments;
  };
  if (Object.keys(providers).length > 0) {
    const timer = new BackgroundTimer(() => {
      current();
      timer.start(LOOK_MS);
    });
    current();
    timer.start(LOOK_MS);
  }
  return current;
}
