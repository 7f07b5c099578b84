// Decisions and failures of limits for HTTP, counted in memory for whoever exports them.

import { BUCKETS_SECONDS, HTTP_METRICS, type Reading, type Sample } from "../metrics/metric.ts";
import type { FailureKind, Metrics, Observation } from "./metrics.ts";

interface Histogram {
  /** By bucket, each on its own; the last is for what is beyond all. */
  readonly counts: number[];
  sumSeconds: number;
}

interface Counter {
  readonly labels: Readonly<Record<string, string>>;
  value: number;
}

export class HttpCounts implements Metrics {
  readonly #decisions = new Map<string, Counter>();
  readonly #failures = new Map<string, Counter>();
  readonly #durations = new Map<string, Histogram>();

  decided({ limiter, strategy, outcome, admitted, shadow, degraded, durationMs }: Observation): void {
    const id = `${limiter} ${strategy} ${outcome} ${admitted} ${shadow} ${degraded}`;
    let counter = this.#decisions.get(id);
    if (counter === undefined) {
      const flags = { admitted: String(admitted), shadow: String(shadow), degraded: String(degraded) };
      counter = { labels: { limiter, strategy, outcome, ...flags }, value: 0 };
      this.#decisions.set(id, counter);
    }
    counter.value++;
    if (outcome !== "skipped") this.#addDuration(limiter, durationMs / 1_000);
  }

  failed(limiter: string, kind: FailureKind): void {
    const id = `${limiter} ${kind}`;
    const counter = this.#failures.get(id) ?? { labels: { limiter, kind }, value: 0 };
    this.#failures.set(id, counter);
    counter.value++;
  }

  clear(): void {
    this.#decisions.clear();
    this.#failures.clear();
    this.#durations.clear();
  }

  /** Everything counted so far. */
  read(): readonly Reading[] {
    return [
      { metric: HTTP_METRICS.decisions, samples: [...this.#decisions.values()] },
      { metric: HTTP_METRICS.failures, samples: [...this.#failures.values()] },
      { metric: HTTP_METRICS.duration, samples: [...this.#durations].flatMap(samplesOf) },
    ];
  }

  #addDuration(limiter: string, seconds: number): void {
    let histogram = this.#durations.get(limiter);
    if (histogram === undefined) {
      histogram = { counts: new Array<number>(BUCKETS_SECONDS.length + 1).fill(0), sumSeconds: 0 };
      this.#durations.set(limiter, histogram);
    }
    const bucket = BUCKETS_SECONDS.findIndex((most) => seconds <= most);
    histogram.counts[bucket === -1 ? BUCKETS_SECONDS.length : bucket]! += 1;
    histogram.sumSeconds += seconds;
  }
}

function samplesOf([limiter, { counts, sumSeconds }]: [string, Histogram]): Sample[] {
  const samples: Sample[] = [];
  let sum = 0;
  for (const [i, count] of counts.entries()) {
    sum += count;
    samples.push({ labels: { limiter, le: String(BUCKETS_SECONDS[i] ?? "+Inf") }, value: sum, suffix: "_bucket" });
  }
  samples.push({ labels: { limiter }, value: sumSeconds, suffix: "_sum" });
  samples.push({ labels: { limiter }, value: sum, suffix: "_count" });
  return samples;
}
