// Turns seconds of load into rows of text.

import type { Second } from "./load.ts";

/** What a piece of a row stands for; a `Paint` gives it a colour, or none. */
export type Ink = "admitted" | "offered" | "limit" | "failed";
export type Paint = (ink: Ink, text: string) => string;

export interface ChartStyle {
  /** How many characters a row may have. */
  readonly width: number;
  readonly paint: Paint;
}

/** Where the scale ends, in limits: a burst of two seconds' worth fits, and a tenth of the limit is still seen. */
const SCALE_IN_LIMITS = 2.5;
const WIDEST_BAR = 60;
/** A bar that is narrower shows nothing. */
const NARROWEST_BAR = 10;

const CELLS = { admitted: "█", offered: "░", limit: "│" } as const;

const HEADING = "   s  offered  admitted  factor";
const HEADING_OF_SERVERS = "by server";
/** What a server admitted in a second, with a gap before it. */
const SERVER_WIDTH = 5;
const LEGEND = "  █ admitted  ░ offered  │ limit";

export function headingOf({ width, paint }: ChartStyle, servers = 1): string {
  const heading = servers > 1 ? HEADING + HEADING_OF_SERVERS.padStart(servers * SERVER_WIDTH) : HEADING;
  if (heading.length + LEGEND.length > width) return heading.slice(0, width);
  return heading + paintCells(LEGEND, paint);
}

/**
 * One second: when (counted from 1), how many were offered and admitted, the factor, what each of several servers
 * admitted, and a bar of both.
 */
export function rowOf(number: number, second: Second, limitPerSecond: number, style: ChartStyle): string {
  const { offered, admitted, failed, factor, admittedBy } = second;
  const figures = [
    String(number).padStart(4),
    String(offered).padStart(9),
    String(admitted).padStart(10),
    factor.toFixed(2).padStart(8),
    ...(admittedBy.length > 1 ? admittedBy : []).map((count) => String(count).padStart(SERVER_WIDTH)),
  ].join("");
  const head = figures.slice(0, style.width);
  const failures = failed > 0 ? `  ${failed} failed`.slice(0, style.width - head.length) : "";
  const barWidth = Math.min(WIDEST_BAR, style.width - head.length - failures.length - 2);
  const bar = barWidth < NARROWEST_BAR ? "" : `  ${barOf(second, limitPerSecond, barWidth, style.paint)}`;
  return head + (failures && style.paint("failed", failures)) + bar;
}

function barOf({ offered, admitted }: Second, limitPerSecond: number, width: number, paint: Paint): string {
  const cellsOf = (count: number) => Math.round((count * width) / (limitPerSecond * SCALE_IN_LIMITS));
  const filled = CELLS.admitted.repeat(cellsOf(admitted)).padEnd(cellsOf(offered), CELLS.offered);
  const mark = cellsOf(limitPerSecond);
  const bar = filled.padEnd(mark).slice(0, mark) + CELLS.limit + filled.slice(mark + 1);
  return paintCells(bar.length > width ? `${bar.slice(0, width - 1)}…` : bar, paint);
}

function paintCells(text: string, paint: Paint): string {
  return text
    .replaceAll(/█+/g, (cells) => paint("admitted", cells))
    .replaceAll(/░+/g, (cells) => paint("offered", cells))
    .replaceAll(/│/g, (cell) => paint("limit", cell));
}
