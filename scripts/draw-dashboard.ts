// npm run docs:dashboard: draws operations/dashboard.json into docs/pictures/dashboard.svg, with the data that a real
// Prometheus has of a real service. The service lives through four minutes: a tenant asks far too much for one of them,
// and Redis hangs for half a minute of another. Each run gives other data, so no check compares the picture.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Panel, type Query, readPanels } from "../test/operations/dashboard.ts";
import { findPrometheus, Prometheus, type Series } from "../test/operations/prometheus.ts";
import { type Service, startService } from "../test/operations/service.ts";
import { ROOT } from "../test/support/process.ts";
import { RedisServer } from "../test/support/redis.ts";
import { type DrawnPanel, type DrawnSeries, drawDashboard, type Phase } from "./dashboard-picture.ts";

const STEP_SECONDS = 2;
/** What goes on before the picture begins, because a rate looks back over some seconds. */
const BEFORE_MS = 15_000;

const programs = findPrometheus();
if (programs === undefined) throw new Error("Prometheus is needed, or apt-get and dpkg to fetch it");
const redis = await RedisServer.start();
const service = await startService(redis.port);
const prometheus = await Prometheus.start(programs.prometheus, service.port, join(ROOT, "operations", "alerts.yml"));
try {
  await sleep(BEFORE_MS);
  const start = nowSeconds();
  const phases = await live(service, redis);
  const span = { start, end: nowSeconds(), step: STEP_SECONDS };
  const panels = await Promise.all(readPanels().map((panel) => withData(panel, span)));
  const picture = drawDashboard(panels, span, phases);
  writeFileSync(join(ROOT, "docs", "pictures", "dashboard.svg"), picture);
} finally {
  await prometheus.stop();
  await service.stop();
  await redis.stop();
}

/** Four minutes in the life of the service; returns what was special. */
async function live(service: Service, redis: RedisServer): Promise<readonly Phase[]> {
  await sleep(45_000);
  const acme = await during("acme asks 4 × as much", 60_000, (isOn) => {
    service.acmeFactor = isOn ? 4 : 1;
    service.visitorsPerSecond = isOn ? 260 : 80;
  });
  await sleep(30_000);
  const away = await during("Redis hangs", 30_000, (isOn) => redis.signal(isOn ? "SIGSTOP" : "SIGCONT"));
  await sleep(75_000);
  return [acme, away];
}

async function during(name: string, ms: number, turn: (isOn: boolean) => void): Promise<Phase> {
  const start = nowSeconds();
  turn(true);
  await sleep(ms);
  turn(false);
  return { name, start, end: nowSeconds() };
}

async function withData(panel: Panel, span: Parameters<typeof prometheus.queryRange>[1]): Promise<DrawnPanel> {
  const answers = await Promise.all(
    panel.queries.map(async (query) => {
      const series = (await prometheus.queryRange(query.expression, span)) ?? [];
      return series.map((one) => drawnSeries(query, one));
    }),
  );
  const series = answers.map((one) => one.filter(({ points }) => points.length > 0).sort(byName));
  return { ...panel, series: series.flat() };
}

function drawnSeries({ legend }: Query, { metric, values }: Series): DrawnSeries {
  return {
    name: legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ""),
    points: values
      .map(([second, value]) => [second, Number(value)] as const)
      .filter(([, value]) => Number.isFinite(value)),
  };
}

function byName({ name: one }: DrawnSeries, { name: other }: DrawnSeries): number {
  return one < other ? -1 : 1;
}

function nowSeconds(): number {
  return Date.now() / 1_000;
}
