// The report as text for a terminal.

import { counted, dateTime, duration, grouped, percent, printable, roughDuration, table } from "../text.ts";
import type { LimitReport, LogFacts, RecommendedLimit, Report, WindowReport } from "./report.ts";

export const NAMES: Readonly<Record<LimitReport["at"][number], string>> = {
  p50: "median",
  p95: "95 %",
  p99: "99 %",
  p999: "99.9 %",
  max: "max",
  recommended: "recommended",
};

export function reportLines(report: Report, heading: (text: string) => string): string[] {
  const { windows } = report;
  return [
    ...factLines(report),
    "",
    heading(`What clients had in their busiest window (${report.counts})`),
    ...table(["window", "median", "95 %", "99 %", "99.9 %", "max", "all clients"], windows.map(busiestRow)),
    ...(windows.some(({ isLongerThanLog }) => isLongerThanLog) ? ["* longer than the log"] : []),
    "",
    heading("What a limit for each client would have denied (requests and clients)"),
    ...table(
      ["window", "limit", "", "absolute", "", "clients", "suppressed", "", "clients"],
      windows.flatMap((window) => window.limits.map((limit, index) => limitRow(window, limit, index === 0))),
    ),
    ...windows.filter((window) => isRecommended(window, report)).flatMap((window) => hitLines(window, heading)),
    "",
    heading("Recommendation"),
    ...recommendationLines(report),
  ];
}

export function factLines(report: LogFacts): string[] {
  const { requests, clients, from, to, spanMs, broken, cutOff, free } = report;
  const when = `${dateTime(Date.parse(from))} to ${dateTime(Date.parse(to))} UTC (${roughDuration(spanMs)})`;
  const lines = [`${counted(requests, "request")} of ${counted(clients, "client")}, ${when}`];
  if (free > 0) lines.push(`${counted(free, "request")} with a cost of 0, which no limit counts`);
  if (broken.lines > 0) lines.push(`${counted(broken.lines, "line")} could not be read:`);
  for (const { where, problem, line } of broken.first) lines.push(`  ${where}: ${problem}: ${line}`);
  for (const log of cutOff) lines.push(`${log}, so what follows is of the part before`);
  return lines;
}

function busiestRow({ windowMs, isLongerThanLog, busiest, together }: WindowReport): string[] {
  const { p50, p95, p99, p999, max } = busiest;
  return [`${duration(windowMs)}${isLongerThanLog ? "*" : ""}`, ...[p50, p95, p99, p999, max, together].map(grouped)];
}

function limitRow(
  { windowMs }: WindowReport,
  { limit, at, absolute, suppressed }: LimitReport,
  isFirst: boolean,
): string[] {
  const denied = [absolute, suppressed].flatMap((strategy) => [
    grouped(strategy.deniedRequests),
    percent(strategy.deniedShare),
    grouped(strategy.deniedClients),
  ]);
  return [isFirst ? duration(windowMs) : "", grouped(limit), at.map((name) => NAMES[name]).join(", "), ...denied];
}

function isRecommended({ windowMs }: WindowReport, { recommendation: { limits } }: Report): boolean {
  return limits.some((limit) => limit.windowMs === windowMs);
}

function hitLines({ windowMs, limits }: WindowReport, heading: (text: string) => string): string[] {
  const { limit, hitMost } = limits.find(({ at }) => at.includes("recommended"))!;
  if (hitMost.length === 0) return [];
  const rows = hitMost.map(({ client, denied, busiest }) => [printable(client, 60), grouped(denied), grouped(busiest)]);
  const title = `Who would have been hit most by ${grouped(limit)} in ${duration(windowMs)} (absolute)`;
  return ["", heading(title), ...table(["client", "denied", "busiest window"], rows)];
}

function recommendationLines({ recommendation: { limits, remarks } }: Report): string[] {
  const lines = limits.flatMap(({ name, limit, windowMs, reasons }) => [
    `${name}: ${grouped(limit)} in ${duration(windowMs)}`,
    ...reasons.map((reason) => `  ${reason}`),
  ]);
  return [...lines, ...remarks, ...(limits.length === 0 ? [] : ["", ...codeLines(limits)])];
}

/** A program with the same limits, complete. */
export function codeLines(limits: readonly RecommendedLimit[]): string[] {
  const rows = limits.map(({ name, limit, windowMs, bucketMs }) => {
    const bucket = bucketMs === Math.min(100, windowMs) ? "" : `, bucketMs: ${spelled(bucketMs)}`;
    return `  ${name}: { limit: ${limit}, windowMs: ${spelled(windowMs)}${bucket} },`;
  });
  const functions = Object.values(FUNCTIONS).filter((name) => rows.some((row) => row.includes(`${name}(`)));
  return [
    `import { ${["createLimits", "createLocalProvider", ...functions.sort()].join(", ")} } from "trypema";`,
    "",
    "const limits = createLimits(createLocalProvider(), {",
    ...rows,
    "});",
  ];
}

/** The functions of the package that make lengths of time. */
const FUNCTIONS = { s: "seconds", min: "minutes", h: "hours", d: "days" } as const;

function spelled(ms: number): string {
  const [count, unit] = duration(ms).split(" ") as [string, keyof typeof FUNCTIONS | "ms"];
  return unit === "ms" ? count : `${FUNCTIONS[unit]}(${count})`;
}
