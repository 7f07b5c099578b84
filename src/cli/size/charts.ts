// The charts of the page, as SVG. All their texts are numbers and words of this file.

import { duration, grouped, percent } from "../text.ts";
import type { WindowReport } from "./report.ts";

const WIDTH = 460;
const HEIGHT = 240;
const LEFT = 56;
const RIGHT = 12;
const TOP = 28;
const BOTTOM = 40;

/** Where a share from 0 to 1 of an axis is. */
const xOf = (share: number) => (LEFT + share * (WIDTH - LEFT - RIGHT)).toFixed(1);
const yOf = (share: number) => (HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)).toFixed(1);

function chart(title: string, label: string, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
<text x="0" y="14">${title}</text>
${parts.join("\n")}
<text x="${xOf(0.5)}" y="${HEIGHT - 6}" text-anchor="middle">${label}</text>
</svg>`;
}

function line(x1: string, y1: string, x2: string, y2: string, color: string, dashes = ""): string {
  const dashed = dashes === "" ? "" : ` stroke-dasharray="${dashes}"`;
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${color}"${dashed}/>`;
}

function text(x: string, y: string, content: string, anchor = "middle"): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${content}</text>`;
}

/** How many clients had more than what is on the axis, both by powers of ten; and the limit that is recommended. */
export function busiestChart(window: WindowReport, clients: number, counts: string): string {
  const { busiest, curve, recommended, windowMs } = window;
  const mostX = Math.log10(Math.max(10, busiest.max, recommended)) * 1.02;
  const mostY = Math.max(1, Math.log10(clients));
  const x = (used: number) => xOf(Math.log10(Math.max(1, used)) / mostX);
  const y = (count: number) => yOf(Math.log10(Math.max(1, count)) / mostY);
  const parts: string[] = [];
  for (let power = 0; power <= mostX; power++) {
    parts.push(line(x(10 ** power), yOf(0), x(10 ** power), yOf(1), "var(--line)"));
    parts.push(text(x(10 ** power), String(HEIGHT - BOTTOM + 16), grouped(10 ** power)));
  }
  for (let power = 0; power <= mostY; power++) {
    parts.push(line(xOf(0), y(10 ** power), xOf(1), y(10 ** power), "var(--line)"));
    parts.push(text(String(LEFT - 6), String(Number(y(10 ** power)) + 4), grouped(10 ** power), "end"));
  }
  const points = curve.filter((point) => point.clients > 0).map((point) => `${x(point.used)},${y(point.clients)}`);
  points.push(`${x(busiest.max)},${y(1)}`);
  parts.push(`<polyline points="${points.join(" ")}" fill="none" stroke="var(--a)" stroke-width="2"/>`);
  parts.push(line(x(recommended), yOf(0), x(recommended), yOf(1), "var(--s)", "4 3"));
  const isRight = Number(x(recommended)) > WIDTH * 0.7;
  const labelX = String(Number(x(recommended)) + (isRight ? -5 : 5));
  parts.push(text(labelX, String(TOP + 10), `recommended: ${grouped(recommended)}`, isRight ? "end" : "start"));
  const title = `Clients with more than this in their busiest ${duration(windowMs)}`;
  return chart(title, counts, parts);
}

/** The share of requests that each limit would have denied, under each strategy. */
export function denialChart({ limits, windowMs }: WindowReport, counts: string): string {
  const most = Math.max(
    ...limits.flatMap(({ absolute, suppressed }) => [absolute.deniedShare, suppressed.deniedShare]),
  );
  const top = most === 0 ? 0.01 : most * 1.1;
  const step = 1 / limits.length;
  const parts: string[] = [];
  for (const share of [0, 0.5, 1]) {
    parts.push(line(xOf(0), yOf(share), xOf(1), yOf(share), "var(--line)"));
    parts.push(text(String(LEFT - 6), String(Number(yOf(share)) + 4), percent(share * top), "end"));
  }
  for (const [index, { limit, absolute, suppressed }] of limits.entries()) {
    for (const [side, { deniedShare }] of [absolute, suppressed].entries()) {
      const x = xOf((index + 0.2 + side * 0.32) * step);
      const width = (0.28 * step * (WIDTH - LEFT - RIGHT)).toFixed(1);
      const y = yOf(deniedShare / top);
      const height = (Number(yOf(0)) - Number(y)).toFixed(1);
      const name = `${["absolute", "suppressed"][side]}, ${grouped(limit)}: ${percent(deniedShare)}`;
      const place = `x="${x}" y="${y}" width="${width}" height="${height}"`;
      parts.push(`<rect ${place} fill="var(--${"as"[side]})"><title>${name}</title></rect>`);
    }
    parts.push(text(xOf((index + 0.5) * step), String(HEIGHT - BOTTOM + 16), grouped(limit)));
  }
  parts.push(legend("var(--a)", "absolute", 250), legend("var(--s)", "suppressed", 340));
  return chart("Requests denied", `limit (${counts} in ${duration(windowMs)})`, parts);
}

function legend(color: string, name: string, x: number): string {
  return `<rect x="${x}" y="5" width="10" height="10" fill="${color}"/><text x="${x + 15}" y="14">${name}</text>`;
}
