// `npm run demo`: real requests to a real server, phase by phase, drawn as they are answered.

import { Agent } from "node:http";
import { perSecond } from "trypema";
import { seededRandom } from "trypema/testing";
import type { Backend } from "./backend.ts";
import { headingOf, rowOf } from "./chart.ts";
import { ask } from "./client.ts";
import { isSettled, Load } from "./load.ts";
import type { Screen } from "./screen.ts";
import { STRATEGIES, startServer } from "./server.ts";
import { countedSpan, notesOn, type PhaseResult, tableOf } from "./summary.ts";

const LIMIT_PER_SECOND = 100;
const TIMES_LIMIT = [0.5, 1, 10];

export const SHOW_OPTIONS = {
  windowMs: 2_000,
  bucketMs: 20,
  // Room for the burst into an empty window and for the limit behind it. With the default of 1.5
  // the suppressed strategy takes three windows to settle after that burst, and with this one.
  hardLimitFactor: 2.5,
};

const MAX_SOCKETS = 64;
const REDRAW_MS = 100;

export async function show(screen: Screen, { name, provider }: Backend, phaseSeconds: number): Promise<void> {
  const limit = perSecond(LIMIT_PER_SECOND);
  const server = await startServer((strategy, client) => provider[strategy].inc(client, limit));
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  const results: PhaseResult[] = [];
  try {
    for (const line of introduction(server.url, name, phaseSeconds)) screen.print(line);
    for (const strategy of STRATEGIES) {
      for (const timesLimit of TIMES_LIMIT) {
        // Each phase begins with an empty window, whatever came before it.
        await provider[strategy].clear();
        const requestsPerSecond = timesLimit * LIMIT_PER_SECOND;
        // The same seed: both strategies get the same requests at the same moments.
        const plan = { requestsPerSecond, seconds: phaseSeconds, random: seededRandom(1) };
        const load = new Load(plan, () => ask(`${server.url}/${strategy}`, agent));
        screen.print(`\n${strategy} at ${timesLimit}x the limit: ${requestsPerSecond} requests/s`);
        await draw(screen, load);
        results.push({ strategy, timesLimit, seconds: load.seconds });
      }
    }
  } finally {
    agent.destroy();
    await server.close();
  }
  for (const line of conclusion(results, phaseSeconds)) screen.print(line);
}

/** Runs the load, and shows each second when its last reply is there. */
async function draw(screen: Screen, load: Load): Promise<void> {
  const rowAt = (i: number) => rowOf(i + 1, load.seconds[i]!, LIMIT_PER_SECOND, screen.style);
  let printed = 0;
  const update = (begun: number) => {
    while (printed < begun && isSettled(load.seconds[printed]!)) screen.print(rowAt(printed++));
    if (printed < load.seconds.length) screen.draft(rowAt(printed));
  };
  screen.print(headingOf(screen.style));
  const timer = setInterval(() => update(load.seconds.length - 1), REDRAW_MS);
  try {
    await load.run();
  } finally {
    clearInterval(timer);
  }
  update(load.seconds.length);
  if (load.failure !== undefined) screen.print(`the latest failure: ${load.failure}`);
}

function introduction(url: string, name: string, phaseSeconds: number): string[] {
  const options = Object.entries(SHOW_OPTIONS).map(([name, value]) => `${name} ${value}`);
  const seconds = phaseSeconds * STRATEGIES.length * TIMES_LIMIT.length;
  return [
    `A server on ${url} lets ${LIMIT_PER_SECOND} requests/s pass: trypema's ${name}`,
    `with ${options.join(", ")}. This takes ${seconds} s.`,
    `(With the default hardLimitFactor of 1.5, suppressed takes three windows to settle from an`,
    `empty one, instead of one.)`,
  ];
}

function conclusion(results: readonly PhaseResult[], phaseSeconds: number): string[] {
  const span = countedSpan(phaseSeconds, SHOW_OPTIONS.windowMs / 1_000);
  return ["", ...tableOf(results, LIMIT_PER_SECOND, span), "", ...notesOn(span, LIMIT_PER_SECOND)];
}
