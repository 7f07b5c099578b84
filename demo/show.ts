// `npm run demo`: real requests to a real server, phase by phase, drawn as they are answered.

import { Agent } from "node:http";
import { seededRandom } from "trypema/testing";
import { headingOf, rowOf } from "./chart.ts";
import { ask } from "./client.ts";
import { isSettled, Load } from "./load.ts";
import type { Screen } from "./screen.ts";
import { STRATEGIES } from "./server.ts";
import type { Limit, Servers } from "./servers.ts";
import { countedSpan, notesOn, type PhaseResult, tableOf } from "./summary.ts";

const LIMIT_PER_SECOND = 100;
/** With a capacity that docs/suppression.md promises its mean for: 256 and more. */
const WINDOW_MS = 3_000;
const TIMES_LIMIT = [0.5, 1, 10];

export const SHOW_LIMIT: Limit = {
  perSecond: LIMIT_PER_SECOND,
  options: {
    windowMs: WINDOW_MS,
    bucketMs: 30,
    // Room for the burst into an empty window and for the limit behind it. With the default of 1.5
    // the suppressed strategy takes three windows to settle after that burst, and with this one.
    hardLimitFactor: 2.5,
  },
};

const MAX_SOCKETS = 64;
const REDRAW_MS = 100;

export async function show(screen: Screen, servers: Servers, phaseSeconds: number): Promise<void> {
  const { urls } = servers;
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  const results: PhaseResult[] = [];
  try {
    for (const line of introduction(servers, phaseSeconds)) screen.print(line);
    for (const strategy of STRATEGIES) {
      for (const timesLimit of TIMES_LIMIT) {
        // Each phase begins with an empty window, whatever came before it.
        await servers.clear(strategy);
        const requestsPerSecond = timesLimit * LIMIT_PER_SECOND;
        // The same seed: both strategies get the same requests at the same moments.
        const plan = { requestsPerSecond, seconds: phaseSeconds, random: seededRandom(1), servers: urls.length };
        const load = new Load(plan, (server) => ask(`${urls[server]}/${strategy}`, agent));
        screen.print(`\n${strategy} at ${timesLimit}x the limit: ${requestsPerSecond} requests/s`);
        await draw(screen, load, urls.length);
        results.push({ strategy, timesLimit, seconds: load.seconds });
      }
    }
  } finally {
    agent.destroy();
  }
  for (const line of conclusion(results, phaseSeconds)) screen.print(line);
}

/** Runs the load, and shows each second when its last reply is there. */
async function draw(screen: Screen, load: Load, servers: number): Promise<void> {
  const rowAt = (i: number) => rowOf(i + 1, load.seconds[i]!, LIMIT_PER_SECOND, screen.style);
  let printed = 0;
  const update = (begun: number) => {
    while (printed < begun && isSettled(load.seconds[printed]!)) screen.print(rowAt(printed++));
    if (printed < load.seconds.length) screen.draft(rowAt(printed));
  };
  screen.print(headingOf(screen.style, servers));
  const timer = setInterval(() => update(load.seconds.length - 1), REDRAW_MS);
  try {
    await load.run();
  } finally {
    clearInterval(timer);
  }
  update(load.seconds.length);
  if (load.failure !== undefined) screen.print(`the latest failure: ${load.failure}`);
}

function introduction({ urls, name }: Servers, phaseSeconds: number): string[] {
  const options = Object.entries(SHOW_LIMIT.options).map(([name, value]) => `${name} ${value}`);
  const seconds = phaseSeconds * STRATEGIES.length * TIMES_LIMIT.length;
  const pass = `${LIMIT_PER_SECOND} requests/s pass: trypema's ${name}`;
  return [
    urls.length === 1
      ? `A server on ${urls[0]} lets ${pass}`
      : `Servers, each a process of its own, on\n${urls.join(" ")}\ntogether let ${pass}`,
    `with ${options.join(", ")}. This takes ${seconds} s.`,
    `(With the default hardLimitFactor of 1.5, suppressed takes three windows to settle after an`,
    `empty window. With this one it takes one.)`,
  ];
}

function conclusion(results: readonly PhaseResult[], phaseSeconds: number): string[] {
  const span = countedSpan(phaseSeconds, WINDOW_MS / 1_000);
  return ["", ...tableOf(results, LIMIT_PER_SECOND, span), "", ...notesOn(span, LIMIT_PER_SECOND)];
}
