// npm run test:operations: tries the alerts and the dashboard of operations/ in a real Prometheus, which scrapes a real
// service under load. Every query of the dashboard has to find data.

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../support/process.js";
import { RedisServer } from "../support/redis.js";
import { readPanels } from "./dashboard.js";
import { findPrometheus, type Programs, Prometheus } from "./prometheus.js";
import { startService } from "./service.js";

/** How long data may be awaited: a bound for what never comes, and not for a machine that is slow. */
const PATIENCE_MS = 120_000;

interface TitledQuery {
  readonly title: string;
  readonly expression: string;
}

const programs = findPrometheus();
if (programs === undefined) {
  console.error("Prometheus is needed on the PATH, or apt-get and dpkg to fetch it: install it and run this again.");
  process.exit(1);
}
const rulesFile = join(ROOT, "operations", "alerts.yml");
checkRules(programs);
await checkDashboard(programs);

function checkRules({ promtool }: Programs): void {
  execFileSync(promtool, ["check", "rules", rulesFile], { stdio: "inherit" });
  execFileSync(promtool, ["test", "rules", join(ROOT, "operations", "alerts-tests.yml")], { stdio: "inherit" });
}

async function checkDashboard({ prometheus: program }: Programs): Promise<void> {
  const redis = await RedisServer.start();
  const service = await startService(redis.port);
  service.acmeFactor = 4;
  const prometheus = await Prometheus.start(program, service.port, rulesFile);
  try {
    const queries = readPanels().flatMap(({ title, queries }) => queries.map((query) => ({ title, ...query })));
    const open = await waitForData(prometheus, queries);
    for (const { title, expression } of open) console.error(`${title}: no data from ${expression}`);
    if (open.length > 0) process.exitCode = 1;
    else console.log(`The ${queries.length} queries of the dashboard have data.`);
  } finally {
    await prometheus.stop();
    await service.stop();
    await redis.stop();
  }
}

/** Returns the queries that have no data in the end. */
async function waitForData(prometheus: Prometheus, queries: readonly TitledQuery[]): Promise<readonly TitledQuery[]> {
  const endMs = performance.now() + PATIENCE_MS;
  let open = queries;
  while (open.length > 0 && performance.now() < endMs) {
    await sleep(1_000);
    const answers = await Promise.all(open.map(({ expression }) => prometheus.query(expression)));
    open = open.filter((_, index) => !answers[index]?.some(({ value }) => Number.isFinite(Number(value[1]))));
  }
  return open;
}
