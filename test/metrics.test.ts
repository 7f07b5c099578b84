// The metrics: one set of numbers, by three ways to the outside, and a page that lists them.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { metrics as metricsApi } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { Registry } from "prom-client";
import { createLimits, createLocalProvider, type Provider, perMinute, type StatsSource } from "trypema";
import { type DiagnosticsMessage, publishEvents } from "trypema/diagnostics";
import { Guard, type Metrics, prometheusMetrics } from "trypema/http";
import { createHybridProvider } from "trypema/hybrid";
import { openTelemetryMetrics } from "trypema/opentelemetry";
import { registerMetrics } from "trypema/prometheus";
import { createRedisProvider } from "trypema/redis";
import { createFakeRedisProvider } from "trypema/testing";
import { describe, expect, it, vi } from "vitest";
import { HTTP_METRICS } from "../src/metrics/metric.ts";
import { PROVIDER_METRICS } from "../src/metrics/provider-metrics.ts";
import { ROOT } from "./support/process.ts";
import { useRedis } from "./support/use-redis.ts";

const redis = useRedis();
const ALL = [...PROVIDER_METRICS, ...Object.values(HTTP_METRICS)];

/** With a deadline that no busy machine misses. */
const PATIENT = { timeoutMs: 30_000 };

/** One provider of each kind, used. Hybrid's sends nothing between two calls, so its numbers stand still. */
async function used() {
  const local = createLocalProvider({ random: () => 0 });
  const providers = {
    local,
    redis: createRedisProvider(redis.client, { ...PATIENT, prefix: "metrics-redis" }),
    hybrid: createHybridProvider(redis.client, { ...PATIENT, prefix: "metrics-hybrid", syncIntervalMs: 1_000_000 }),
  };
  const limits = createLimits(local, { soft: { limit: 10, windowMs: 60_000, strategy: "suppressed" } });
  for (let i = 0; i < 20; i++) limits.take("ann");
  for (let i = 0; i < 7; i++) {
    for (const { absolute } of Object.values(providers)) await absolute.inc("ann", perMinute(5));
  }
  return providers;
}

async function ask(provider: Provider, metrics: Metrics): Promise<void> {
  const guard = new Guard({ provider, name: "api", rate: perMinute(2), key: () => "ann", metrics });
  const request = () => ({ raw: {}, method: "GET", path: "/", peerAddress: undefined, header: () => undefined });
  for (let i = 0; i < 3; i++) await guard.check(request());
}

/** The samples of a text, without histograms, which have times in them. */
function samplesIn(text: string): string[] {
  return text
    .split("\n")
    .filter((line) => /^trypema_/.test(line) && !/duration|sweeping|age_seconds/.test(line))
    .sort();
}

const OWN = 'provider="local",strategy="absolute",limit="",window="60"';
const SOFT = 'provider="local",strategy="suppressed",limit="soft",window="60"';

describe("metrics", () => {
  it("are the same in a registry of prom-client and in the text for those without", async () => {
    const providers = await used();
    const registry = new Registry();
    await ask(providers.local, registerMetrics(registry, { providers }));
    const text = prometheusMetrics({ providers });
    await ask(providers.local, text);
    // Those of HTTP count for themselves, and the second three requests are all denied.
    const ofProviders = (lines: string[]) => lines.filter((line) => !line.startsWith("trypema_http"));
    const samples = samplesIn(await registry.metrics());
    expect(ofProviders(samples)).toEqual(ofProviders(samplesIn(text.text())));
    expect(samples).toEqual(
      expect.arrayContaining([
        `trypema_calls_total{${OWN},outcome="allowed",admitted="true"} 5`,
        `trypema_calls_total{${OWN},outcome="rejected",admitted="false"} 2`,
        `trypema_calls_total{${SOFT},outcome="allowed",admitted="true"} 10`,
        `trypema_calls_total{${SOFT},outcome="suppressed",admitted="false"} 10`,
        'trypema_breaker_open{provider="redis"} 0',
        'trypema_keys{provider="hybrid"} 1',
        'trypema_http_decisions_total{limiter="api",strategy="absolute",outcome="allowed",admitted="true",shadow="false",degraded="false"} 2',
      ]),
    );
    for (const provider of Object.values(providers)) await provider.close();
  });

  it("have a name of ours, a help text and labels, which are those of their samples", async () => {
    const providers = await used();
    const registry = new Registry();
    await ask(providers.local, registerMetrics(registry, { providers }));
    const found = await registry.getMetricsAsJSON();
    expect(found.map(({ name }) => name).sort()).toEqual(ALL.map(({ name }) => name).sort());
    for (const metric of found) {
      const { labels } = ALL.find(({ name }) => name === metric.name)!;
      const values = (metric as unknown as { values: { labels: object }[] }).values;
      for (const value of values) {
        expect(Object.keys(value.labels).filter((label) => label !== "le")).toEqual(labels);
      }
      expect(metric.name).toMatch(/^trypema_[a-z_]+$/);
      expect(metric.help).toMatch(/\.$/);
    }
    for (const provider of Object.values(providers)) await provider.close();
  });

  it("are read of a provider once for each scrape", async () => {
    const provider = createLocalProvider();
    const stats = vi.spyOn(provider, "stats");
    const registry = new Registry();
    registerMetrics(registry, { providers: { main: provider } });
    expect(stats).not.toHaveBeenCalled();
    for (let scrapes = 1; scrapes <= 3; scrapes++) {
      await registry.metrics();
      expect(stats).toHaveBeenCalledTimes(scrapes);
    }
  });

  it("work in a registry for OpenMetrics, where a counter's name has no ending", async () => {
    const provider = createLocalProvider();
    provider.absolute.inc("ann", perMinute(5));
    const registry = new (Registry as unknown as new (contentType: string) => Registry)(
      Registry.OPENMETRICS_CONTENT_TYPE,
    );
    registerMetrics(registry, { providers: { main: provider } });
    for (let scrapes = 0; scrapes < 2; scrapes++) {
      const text = await registry.metrics();
      expect(text).toContain("# TYPE trypema_calls counter");
      expect(text).toMatch(/^trypema_calls_total\{.*outcome="allowed".*\} 1$/m);
    }
  });

  it("escape what is a name", () => {
    const provider = createLocalProvider();
    const text = prometheusMetrics({ providers: { 'a"b\\c\nd': provider } }).text();
    expect(text).toContain('trypema_keys{provider="a\\"b\\\\c\\nd"} 0');
  });

  it.each([
    [{ main: {} }, /providers.main: got an object, expected a provider with stats/],
    [{ main: undefined }, /providers.main: got undefined/],
    ["main", /providers: got "main"/],
  ])("are of providers only: %o", (providers, message) => {
    const options = { providers: providers as unknown as Record<string, StatsSource> };
    expect(() => registerMetrics(new Registry(), options)).toThrow(message);
    expect(() => prometheusMetrics(options)).toThrow(message);
    expect(() => openTelemetryMetrics(options)).toThrow(message);
  });

  it("are the same in OpenTelemetry, also in an SDK that is registered later and with no request at all", async () => {
    const providers = await used();
    openTelemetryMetrics({ providers });
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] });
    metricsApi.setGlobalMeterProvider(meters);
    const collected = async () => {
      exporter.reset();
      await meters.forceFlush();
      return exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics.filter(({ dataPoints }) => dataPoints.length > 0) ?? [];
    };
    await expect.poll(collected, { interval: 200 }).not.toHaveLength(0);
    const recorded = await collected();
    expect(recorded.map(({ descriptor }) => descriptor.name).sort()).toEqual(
      PROVIDER_METRICS.map(({ otelName }) => otelName).sort(),
    );
    const numbers = recorded.flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ attributes, value }) => {
        const { name } = PROVIDER_METRICS.find(({ otelName }) => otelName === descriptor.name)!;
        const labels = Object.entries(attributes).map(([label, text]) => `${label}="${text}"`);
        return `${name}{${labels.join(",")}} ${value}`;
      }),
    );
    const text = prometheusMetrics({ providers }).text();
    expect(samplesIn(numbers.join("\n"))).toEqual(samplesIn(text));
    metricsApi.disable();
    await meters.shutdown();
    for (const provider of Object.values(providers)) await provider.close();
  });

  it("never have a client's key in them", async () => {
    const providers = await used();
    const text = prometheusMetrics({ providers });
    await ask(providers.local, text);
    expect(text.text()).not.toContain("ann");
    for (const provider of Object.values(providers)) await provider.close();
  });

  it("are listed in the guide as they are", () => {
    const page = readFileSync(join(ROOT, "docs", "metrics.md"), "utf8");
    const rows = page.split("\n").filter((line) => line.startsWith("| `trypema_"));
    expect(rows).toEqual(
      ALL.map(({ name, otelName, type, labels, help }) => {
        const code = labels.map((label) => `\`${label}\``).join(" ");
        return `| \`${name}\` | \`${otelName}\` | ${type} | ${code} | ${help} |`;
      }),
    );
  });
});

describe("diagnostics channels", () => {
  it("get the events of their type while somebody subscribes, with the provider's name", async () => {
    const messages: DiagnosticsMessage[] = [];
    const note = (message: unknown) => messages.push(message as DiagnosticsMessage);
    const provider = createFakeRedisProvider({ onFailure: "local", onEvent: false });
    const stop = publishEvents(provider, "logins");
    provider.redis = "down";
    await provider.absolute.inc("ann", perMinute(5));
    await new Promise(setImmediate);
    expect(messages).toEqual([]);
    subscribe("trypema:breaker-opened", note);
    for (let i = 0; i < 5; i++) await provider.absolute.inc("ann", perMinute(5));
    await expect
      .poll(() => messages)
      .toEqual([{ type: "breaker-opened", code: "BACKEND_UNAVAILABLE", reason: "", provider: "logins" }]);
    stop();
    provider.redis = "up";
    provider.redis = "down";
    for (let i = 0; i < 5; i++) await provider.absolute.inc("ann", perMinute(5));
    await new Promise(setImmediate);
    expect(messages).toHaveLength(1);
    unsubscribe("trypema:breaker-opened", note);
  });

  it("change nothing for a provider without onEvent, which warns as ever", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const provider = createFakeRedisProvider({ onFailure: "local" });
    publishEvents(provider);
    provider.redis = "down";
    await provider.absolute.inc("ann", perMinute(5));
    expect(warned).toHaveBeenCalledTimes(1);
    vi.restoreAllMocks();
  });

  it("are for providers of this package only", () => {
    expect(() => publishEvents({} as Provider)).toThrow(/expected a provider of this package/);
  });
});
