// Who asks when. Arrivals are Poisson, as those of many independent people are, and a seed decides them, so both
// strategies meet the same calls, in every browser and in Node.

import { seededRandom } from "trypema/testing";
import { MOST_CALLS, type Settings } from "./settings.ts";

export interface Call {
  readonly ms: number;
  /** Who makes it, from 0. */
  readonly client: number;
}

export interface Load {
  /** In the order of time. */
  readonly calls: readonly Call[];
  /** Their names; a load of one has one. */
  readonly clients: readonly string[];
  readonly seconds: number;
  /** What is wrong with a trace, if anything is. */
  readonly problem?: string;
}

export function loadOf(settings: Settings): Load {
  if (settings.load === "trace") return traceOf(settings.trace);
  const clients = settings.load === "clients" ? settings.clients : 1;
  const names = Array.from({ length: clients }, (_, i) => (clients === 1 ? "the client" : `client ${i + 1}`));
  return { calls: arrivals(settings, clients), clients: names, seconds: settings.seconds };
}

function arrivals(settings: Settings, clients: number): Call[] {
  const random = seededRandom(settings.seed);
  const calls: Call[] = [];
  const endMs = settings.seconds * 1_000;
  let ms = 0;
  for (;;) {
    ms += (-Math.log(1 - random()) * 1_000) / settings.offeredPerSecond;
    if (ms >= endMs) return calls;
    const kept = random() < intensity(settings, ms / endMs, ms);
    const client = clientOf(random(), clients);
    if (kept) calls.push({ ms, client });
  }
}

/** How much of the most is offered, 0 to 1, at a share of the run. */
function intensity({ load, windowMs }: Settings, share: number, ms: number): number {
  switch (load) {
    case "burst":
      return (share >= 0.2 && share < 0.25) || (share >= 0.6 && share < 0.65) ? 1 : 0.1;
    case "ramp":
      return share;
    case "on-off":
      return Math.floor(ms / windowMs) % 2 === 0 ? 1 : 0;
    default:
      return 1;
  }
}

/** Each client is twice as busy as the one before it. */
function clientOf(draw: number, clients: number): number {
  return Math.min(clients - 1, Math.floor(Math.log2(1 + draw * (2 ** clients - 1))));
}

const MOST_CLIENTS = 50;

/** One call a line: its time, in seconds or as a date, and, if there is more, its client. Lines in any order. */
function traceOf(trace: string): Load {
  const names: string[] = [];
  const calls: Call[] = [];
  const lines = trace.split("\n").filter((line) => line.trim() !== "");
  const nothing = { calls: [], clients: ["the client"], seconds: 5 };
  if (lines.length === 0)
    return { ...nothing, problem: "Paste a trace: a line for each call, with its time in seconds." };
  if (lines.length > MOST_CALLS) return { ...nothing, problem: `A trace may have ${MOST_CALLS} calls at most.` };
  for (const [index, line] of lines.entries()) {
    const [time = "", name = "the client"] = line.trim().split(/[\s,;]+/, 2);
    const ms = /^[\d.]+(e\d+)?$/i.test(time) ? Number(time) * 1_000 : Date.parse(time);
    if (!Number.isFinite(ms)) return { ...nothing, problem: `Line ${index + 1} doesn't begin with a time.` };
    if (!names.includes(name)) names.push(name);
    calls.push({ ms, client: names.indexOf(name) });
  }
  if (names.length > MOST_CLIENTS) return { ...nothing, problem: `A trace may have ${MOST_CLIENTS} clients at most.` };
  calls.sort((a, b) => a.ms - b.ms);
  const startMs = calls[0]!.ms;
  const seconds = Math.max(5, Math.ceil((calls.at(-1)!.ms - startMs) / 1_000) + 1);
  if (seconds > 3_600) return { ...nothing, problem: "A trace may span an hour at most." };
  return { calls: calls.map(({ ms, client }) => ({ ms: ms - startMs, client })), clients: names, seconds };
}
