// Makes the report: the busiest windows of all clients, which limits follow from them, and what these would have
// denied.

import { advise, recommendedLimit, usualPercentile } from "./advice.ts";
import { type Denials, measurePeaks, type SizedWindow, type Trial, tryLimits, WINDOWS } from "./replay.ts";
import {
  type DenialReport,
  type LimitReport,
  type LogFacts,
  PERCENTILES,
  type Percentile,
  type Report,
  type WindowReport,
} from "./report.ts";
import type { Spool } from "./spool.ts";

/** Of the clients that were denied most, so many are named. */
const MOST_NAMED = 5;
/** A chart has so many points at most. */
const CURVE_POINTS = 120;

interface Log {
  readonly facts: LogFacts;
  readonly names: readonly string[];
  /** What all clients together had in the busiest window, for each window. */
  readonly together: readonly number[];
  readonly byClient: Spool;
}

type Progress = (share: number) => void;
type Marks = Map<number, LimitReport["at"][number][]>;

export async function makeReport(log: Log, onProgress: Progress): Promise<Report> {
  const windows: WindowReport[] = [];
  for (const [index, window] of WINDOWS.entries()) {
    windows.push(await study(log, index, window, (share) => onProgress((windows.length + share) / WINDOWS.length)));
  }
  return { ...log.facts, windows, recommendation: advise(log.facts, windows) };
}

async function study(
  { facts, names, byClient, together }: Log,
  index: number,
  window: SizedWindow,
  onProgress: Progress,
): Promise<WindowReport> {
  const peaks = await measurePeaks(byClient, names.length, window, (share) => onProgress(share / 5));
  const ascending = peaks.slice().sort();
  const busiest = percentilesOf(ascending);
  const recommended = recommendedLimit(busiest[usualPercentile(facts.clients)]);
  const marks = marksOf(busiest, recommended);
  const limits = [...marks.keys()];
  const tried = await tryLimits({ byClient, names, peaks }, window, limits, (share) => onProgress((1 + 4 * share) / 5));
  const limitReport = (trial: Trial): LimitReport => ({
    limit: trial.limit,
    at: marks.get(trial.limit)!,
    absolute: denialReport(trial.absolute, facts.requests),
    suppressed: denialReport(trial.suppressed, facts.requests),
    hitMost: hitMost(trial.absolute, peaks, names),
  });
  return {
    ...window,
    isLongerThanLog: window.windowMs > facts.spanMs,
    busiest,
    together: together[index]!,
    recommended,
    limits: tried.map(limitReport),
    curve: curveOf(ascending),
  };
}

/** By nearest rank: a value that a client really had, and as many clients as the share says had no more. */
function percentilesOf(ascending: Float64Array): Record<Percentile, number> {
  const at = (share: number) => ascending[Math.max(0, Math.ceil(share * ascending.length - 1e-9) - 1)]!;
  const values = Object.entries(PERCENTILES).map(([name, share]) => [name, at(share)]);
  return Object.fromEntries(values) as Record<Percentile, number>;
}

/** The limits to try, each with what it is. */
function marksOf(busiest: Record<Percentile, number>, recommended: number): Marks {
  const marks: Marks = new Map();
  const mark = (limit: number, name: Percentile | "recommended") =>
    marks.set(limit, [...(marks.get(limit) ?? []), name]);
  for (const [name, limit] of Object.entries(busiest)) mark(limit, name as Percentile);
  mark(recommended, "recommended");
  return marks;
}

function denialReport({ requests, cost, ofClients }: Denials, all: number): DenialReport {
  let deniedClients = 0;
  for (const denied of ofClients) if (denied > 0) deniedClients++;
  return { deniedRequests: requests, deniedShare: requests / all, deniedCost: cost, deniedClients };
}

function hitMost({ ofClients }: Denials, peaks: Float64Array, names: readonly string[]): LimitReport["hitMost"] {
  // By name among equals, so that the order of the lines changes nothing.
  const isBefore = (one: number, other: number) =>
    ofClients[one]! > ofClients[other]! || (ofClients[one] === ofClients[other] && names[one]! < names[other]!);
  const most: number[] = [];
  for (const [client, denied] of ofClients.entries()) {
    if (denied === 0 || (most.length === MOST_NAMED && !isBefore(client, most.at(-1)!))) continue;
    const at = most.findIndex((other) => isBefore(client, other));
    most.splice(at === -1 ? most.length : at, 0, client);
    most.length = Math.min(most.length, MOST_NAMED);
  }
  return most.map((client) => ({ client: names[client]!, denied: ofClients[client]!, busiest: peaks[client]! }));
}

/** How many clients had more than each value; of many values, some at even ratios. */
function curveOf(ascending: Float64Array): WindowReport["curve"] {
  const most = ascending.at(-1)!;
  const values = new Set<number>([0]);
  for (let point = 0; point < CURVE_POINTS; point++) values.add(Math.round(most ** (point / (CURVE_POINTS - 1))));
  const curve: { used: number; clients: number }[] = [];
  let index = 0;
  for (const used of values) {
    while (index < ascending.length && ascending[index]! <= used) index++;
    curve.push({ used, clients: ascending.length - index });
  }
  return curve;
}
