// The closing table: what each strategy made of each phase.

import type { Second } from "./load.ts";
import type { Strategy } from "./server.ts";

export interface PhaseResult {
  readonly strategy: Strategy;
  /** The offered load as a multiple of the limit. */
  readonly timesLimit: number;
  readonly seconds: readonly Second[];
}

/** The seconds of a phase that are counted: from `first` to `last`, counted from 1. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/**
 * The first window is left out, since it begins empty and so lets in more than the limit. Of the
 * rest whole windows are counted: a strategy that admits in bursts admits too much or too little
 * in half of one. Undefined when there is no second window.
 */
export function countedSpan(phaseSeconds: number, windowSeconds: number): Span | undefined {
  const windows = Math.floor(phaseSeconds / windowSeconds) - 1;
  if (windows < 1) return undefined;
  return { first: phaseSeconds - windows * windowSeconds + 1, last: phaseSeconds };
}

const HEADING = ["strategy", "load", "offered/s", "admitted/s", "of the limit", "variation", "asked Redis"];

export function tableOf(results: readonly PhaseResult[], limitPerSecond: number, span: Span | undefined): string[] {
  const rows = [HEADING, ...results.map((result) => cellsOf(result, limitPerSecond, span))];
  const widths = HEADING.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  return rows.map(([strategy, ...figures]) => {
    const aligned = figures.map((cell, i) => cell.padStart(widths[i + 1]!));
    return [strategy!.padEnd(widths[0]!), ...aligned].join("  ");
  });
}

/** What to see in the table, and how it was counted. */
export function notesOn(span: Span | undefined, limitPerSecond: number): string[] {
  const noise = (1 / Math.sqrt(limitPerSecond)).toFixed(2);
  return [
    "Far over the limit, absolute admits a whole capacity in a burst, and then nothing until",
    "that has left the window. Suppressed denies a random share, so that about the limit is",
    "admitted in each second. Over so few seconds its mean may be a tenth off. It may be more",
    "if the machine is too busy to offer the load evenly and to answer in time.",
    "",
    span === undefined
      ? "Counted: all of each phase, which was too short to be measured once its first burst is over."
      : `Counted: seconds ${span.first} to ${span.last} of each phase. An empty window lets a burst in before that.`,
    "Asked Redis: the share of the answers that took a round trip to Redis.",
    "Factor: the suppression factor in the latest denial.",
    "Variation: the standard deviation of what is admitted per second, over its mean. Requests",
    `that come at random at the rate of the limit vary by ${noise} by themselves.`,
  ];
}

function cellsOf({ strategy, timesLimit, seconds }: PhaseResult, limitPerSecond: number, span: Span | undefined) {
  const counted = span === undefined ? seconds : seconds.slice(span.first - 1, span.last);
  const admitted = counted.map((second) => second.admitted);
  const perSecond = mean(admitted);
  const measured = span !== undefined && perSecond > 0;
  return [
    strategy,
    `${timesLimit}x`,
    mean(counted.map((second) => second.offered)).toFixed(1),
    perSecond.toFixed(1),
    span === undefined ? "-" : `${((perSecond * 100) / limitPerSecond).toFixed(0)} %`,
    measured ? variation(admitted).toFixed(2) : "-",
    shareOf(counted),
  ];
}

function shareOf(seconds: readonly Second[]): string {
  const answers = mean(seconds.map(({ admitted, denied }) => admitted + denied));
  return answers > 0 ? `${((mean(seconds.map(({ askedRedis }) => askedRedis)) * 100) / answers).toFixed(1)} %` : "-";
}

/** The coefficient of variation: standard deviation over mean. */
function variation(counts: readonly number[]): number {
  const middle = mean(counts);
  return Math.sqrt(mean(counts.map((count) => (count - middle) ** 2))) / middle;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
