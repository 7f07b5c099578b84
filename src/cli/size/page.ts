// The report as a page for a browser, complete in itself: no scripts, nothing that is loaded, light and dark.

import { duration, grouped, percent, printable } from "../text.ts";
import { busiestChart, denialChart } from "./charts.ts";
import { codeLines, factLines, NAMES } from "./print.ts";
import type { LimitReport, Report, WindowReport } from "./report.ts";

/** `text` for HTML and for attributes in quotes, without characters that can't be seen. */
export function escapeHtml(text: string): string {
  const escaped = printable(text, 200).replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  // A number isn't broken at the end of a line.
  return escaped.replaceAll(/(?<=\d) (?=[\d%])/g, "&#160;");
}

const STYLE = `
:root {
  color-scheme: light dark;
  --text: #1c2330; --soft: #5b6575; --line: #d5dae2; --back: #fff; --a: #0b63c5; --s: #b4570a;
}
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e8ef; --soft: #9aa5b5; --line: #39414e; --back: #14181f; --a: #6cb2ff; --s: #ffab66; }
}
body {
  font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
}
table { border-collapse: collapse; margin: .5rem 0 1.5rem; display: block; overflow-x: auto; }
th, td {
  padding: .25rem .75rem; border-bottom: 1px solid var(--line); text-align: right; font-variant-numeric: tabular-nums;
}
th:first-child, td:first-child { text-align: left; }
td.client { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.charts { display: flex; flex-wrap: wrap; gap: 1rem; }
svg { width: 29rem; max-width: 100%; height: auto; }
svg text { font: 12px system-ui, sans-serif; fill: var(--soft); }
pre { padding: .75rem 1rem; border: 1px solid var(--line); overflow-x: auto; }
.recommended td { font-weight: 600; }
`;

export function reportPage(report: Report): string {
  const title = "Which limits fit";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${factLines(report)
  .map((line) => `<p>${escapeHtml(line)}</p>`)
  .join("\n")}
<h2>Recommendation</h2>
${recommendation(report)}
<h2>What clients had in their busiest window (${report.counts})</h2>
${tableOf(["window", "median", "95 %", "99 %", "99.9 %", "max", "all clients"], report.windows.map(busiestRow))}
${report.windows.map((window) => section(window, report)).join("\n")}
</main>
</body>
</html>
`;
}

function recommendation({ recommendation: { limits, remarks } }: Report): string {
  const items = limits.map(
    ({ name, limit, windowMs, reasons }) =>
      `<p><strong>${name}: ${grouped(limit)} in ${duration(windowMs)}.</strong> ` +
      `${reasons.map(escapeHtml).join(" ")}</p>`,
  );
  const code = limits.length === 0 ? "" : `<pre>${codeLines(limits).map(escapeHtml).join("\n")}</pre>`;
  return [...items, ...remarks.map((remark) => `<p>${escapeHtml(remark)}</p>`), code].join("\n");
}

function busiestRow({ windowMs, isLongerThanLog, busiest, together }: WindowReport): string {
  const { p50, p95, p99, p999, max } = busiest;
  const name = `${duration(windowMs)}${isLongerThanLog ? " (longer than the log)" : ""}`;
  return rowOf([name, ...[p50, p95, p99, p999, max, together].map(grouped)]);
}

function section(window: WindowReport, { clients, counts }: Report): string {
  const name = duration(window.windowMs);
  const { hitMost, limit } = window.limits.find(({ at }) => at.includes("recommended"))!;
  const hit = hitMost.map(
    ({ client, denied, busiest }) =>
      `<tr><td class="client">${escapeHtml(client)}</td><td>${grouped(denied)}</td><td>${grouped(busiest)}</td></tr>`,
  );
  const limits = tableOf(
    ["limit", "", "denied, absolute", "", "clients", "denied, suppressed", "", "clients"],
    window.limits.map(limitRow),
  );
  const title = `Who would have been hit most by ${grouped(limit)} in ${name} (absolute)`;
  const clientsHit = `<h3>${title}</h3>\n${tableOf(["client", "denied", "busiest window"], hit)}`;
  return `<section>
<h2>${name}</h2>
<div class="charts">${busiestChart(window, clients, counts)}${denialChart(window, counts)}</div>
${limits}
${hit.length === 0 ? "" : clientsHit}
</section>`;
}

function limitRow({ limit, at, absolute, suppressed }: LimitReport): string {
  const denied = [absolute, suppressed].flatMap((strategy) => [
    grouped(strategy.deniedRequests),
    percent(strategy.deniedShare),
    grouped(strategy.deniedClients),
  ]);
  const cells = [grouped(limit), at.map((name) => NAMES[name]).join(", "), ...denied];
  return rowOf(cells, at.includes("recommended") ? "recommended" : "");
}

function rowOf(cells: readonly string[], name = ""): string {
  const row = cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("");
  return `<tr${name === "" ? "" : ` class="${name}"`}>${row}</tr>`;
}

function tableOf(head: readonly string[], rows: readonly string[]): string {
  const cells = head.map((cell) => `<th scope="col">${escapeHtml(cell)}</th>`).join("");
  return `<table>\n<thead><tr>${cells}</tr></thead>\n<tbody>\n${rows.join("\n")}\n</tbody>\n</table>`;
}
