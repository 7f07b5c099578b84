// What operations/ names is there: metrics, alerts and their sections. `npm run test:operations` tries it for real.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { HTTP_METRICS } from "../src/metrics/metric.ts";
import { PROVIDER_METRICS } from "../src/metrics/provider-metrics.ts";
import { ROOT } from "./support/process.ts";

const read = (...path: string[]) => readFileSync(join(ROOT, ...path), "utf8");
const metrics = [...PROVIDER_METRICS, ...Object.values(HTTP_METRICS)];
const series = new Set(
  metrics.flatMap(({ name, type }) => (type === "histogram" ? [`${name}_bucket`, `${name}_count`] : [name])),
);

/** The names in a text, and the labels that its selectors name. */
const namesIn = (text: string) => [...new Set(text.match(/\btrypema_\w+/g))];
const labelsIn = (text: string) => [...text.matchAll(/[{,]\s*(\w+)(?:=~|=)"/g)].map(([, label]) => label!);

const alerts = read("operations", "alerts.yml");
const dashboard = JSON.parse(read("operations", "dashboard.json"));
const expressions: string[] = dashboard.panels.flatMap(({ targets = [] }: { targets?: { expr: string }[] }) =>
  targets.map(({ expr }) => expr),
);

describe.each([
  ["the alerts", alerts],
  ["the tests of the alerts", read("operations", "alerts-tests.yml")],
  ["the dashboard", expressions.join("\n")],
])("%s", (_, text) => {
  it("name metrics that there are, by labels that they have", () => {
    expect(namesIn(text).length).toBeGreaterThan(7);
    for (const name of namesIn(text)) expect(series).toContain(name);
    const known = ["job", "instance", ...metrics.flatMap(({ labels }) => labels)];
    for (const label of labelsIn(text)) expect(known).toContain(label);
  });
});

it("each alert has a test and a section that says what to do", () => {
  const names = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(5);
  const sections = read("docs", "operations.md").split(/^### /m).slice(1);
  expect(sections.map((section) => section.split("\n", 1)[0])).toEqual(names);
  for (const section of sections) expect(section).toMatch(/\*\*Means\.\*\* [\s\S]*\*\*Do\.\*\* /);
  for (const name of names) {
    expect(alerts).toContain(`docs/operations.md#${name.toLowerCase()}`);
    expect(read("operations", "alerts-tests.yml").split(name).length).toBeGreaterThan(2);
  }
});

it("the dashboard shows each metric of providers that says how they do", () => {
  const unseen = PROVIDER_METRICS.map(({ name }) => name).filter(
    (name) => !namesIn(expressions.join("\n")).includes(name),
  );
  expect(unseen).toEqual([
    "trypema_bucket_nodes",
    "trypema_sweeps_total",
    "trypema_sweeping_seconds_total",
    "trypema_breaker_openings_total",
  ]);
});
