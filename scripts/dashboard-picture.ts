// Draws a Grafana dashboard with its data as SVG: each panel where the dashboard has it, with title, axes and legend.

import type { Panel } from "../test/operations/dashboard.ts";
import type { Span } from "../test/operations/prometheus.ts";

export interface DrawnSeries {
  readonly name: string;
  /** Times in seconds since 1970, as in `Span`, and finite values. */
  readonly points: readonly (readonly [number, number])[];
}

export interface DrawnPanel extends Panel {
  readonly series: readonly DrawnSeries[];
}

/** A time that is tinted in each panel, because something special goes on. */
export interface Phase extends Pick<Span, "start" | "end"> {
  readonly name: string;
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const COLUMNS = 24;
const WIDTH = 1_104;
const UNIT = { width: WIDTH / COLUMNS, height: 26 };
const HEADING = 44;
const GAP = 8;
/** The room in a panel for its title, for the values at the left, and for the times below. */
const ROOM = { top: 34, left: 68, right: 14, times: 20 };
const LEGEND_LINE = 16;
/** How wide a letter of a legend is on average: where its line ends follows from that. */
const LETTER = 5.7;

const COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#ffa6b0"];

const STYLE = `
  svg { background: #111217; font: 11px system-ui, sans-serif; fill: #9fa7b3; }
  .panel { fill: #181b1f; stroke: #2c3035; } .grid { stroke: #2c3035; } .phase { fill: #ccd5ff; fill-opacity: 0.08; }
  .heading { fill: #dde2ea; font-size: 16px; font-weight: 600; }
  .title { fill: #d5dae2; font-size: 12.5px; font-weight: 600; }
  .line { fill: none; stroke-width: 1.4; stroke-linejoin: round; } .area { fill-opacity: 0.1; }`;

export function drawDashboard(panels: readonly DrawnPanel[], span: Span, phases: readonly Phase[]): string {
  const height = HEADING + UNIT.height * Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) + GAP;
  const tinted = phases.map(({ name }) => name).join(", then ");
  const size = `width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`;
  const drawn = panels.map((panel) => {
    const { x, y, w, h } = panel.gridPos;
    const box = {
      left: x * UNIT.width + GAP / 2,
      top: HEADING + y * UNIT.height,
      width: w * UNIT.width - GAP,
      height: h * UNIT.height - GAP,
    };
    if (panel.type === "row") return text(box.left + 4, box.top + 16, `▾ ${panel.title}`, "title");
    return drawPanel(panel, box, span, phases);
  });
  return `<!-- Drawn by scripts/draw-dashboard.ts from operations/dashboard.json and the data of a Prometheus. -->
<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="The dashboard with data">
<style>${STYLE}
</style>
${text(GAP, 29, "trypema", "heading")}
${text(WIDTH - GAP, 29, `tinted: ${tinted}`, "", "end")}
${drawn.join("\n")}
</svg>
`;
}

function drawPanel({ title, unit, series }: DrawnPanel, box: Box, span: Span, phases: readonly Phase[]): string {
  const legend = drawLegend(series, box);
  const plot = {
    left: box.left + ROOM.left,
    top: box.top + ROOM.top,
    width: box.width - ROOM.left - ROOM.right,
    height: box.height - ROOM.top - ROOM.times - legend.height - 4,
  };
  const ticks = ticksUpTo(Math.max(0, ...series.flatMap(({ points }) => points.map(([, value]) => value))));
  const top = ticks.at(-1)!;
  const x = (second: number) => fixed(plot.left + ((second - span.start) / (span.end - span.start)) * plot.width);
  const y = (value: number) => fixed(plot.top + (1 - value / top) * plot.height);
  const base = y(0);
  const lines = series.flatMap(({ points }, index) =>
    unbroken(points, span.step).map((part) => {
      const most = Math.max(...part.map(([, value]) => value));
      const steps = withoutFlat(part).map(([second, value]) => `${x(second)} ${y(value)}`);
      const area = `M${x(part[0]![0])} ${base}L${steps.join("L")}V${base}`;
      const line = `<path class="line" stroke="${colorOf(index)}" d="M${steps.join("L")}"/>`;
      return most === 0 ? line : `<path class="area" fill="${colorOf(index)}" d="${area}"/>${line}`;
    }),
  );
  const minutes = Math.floor((span.end - span.start) / 60);
  return [
    `<rect class="panel" x="${fixed(box.left)}" y="${box.top}" width="${fixed(box.width)}" height="${box.height}" rx="3"/>`,
    text(box.left + 10, box.top + 20, title, "title"),
    ...phases.map(({ start, end }) => {
      const width = fixed(x(end) - x(start));
      return `<rect class="phase" x="${x(start)}" y="${plot.top}" width="${width}" height="${plot.height}"/>`;
    }),
    ...ticks.flatMap((value) => [
      `<path class="grid" d="M${plot.left} ${y(value)}h${fixed(plot.width)}"/>`,
      text(plot.left - 6, y(value) + 4, show(value, unit), "", "end"),
    ]),
    ...Array.from({ length: minutes + 1 }, (_, minute) =>
      text(x(span.start + minute * 60), plot.top + plot.height + 16, `${minute}:00`, "", "middle"),
    ),
    ...lines,
    ...legend.drawn,
  ].join("\n");
}

/** The names of the series with their colours, in as many lines as they need, at the foot of the panel. */
function drawLegend(series: readonly DrawnSeries[], box: Box): { drawn: readonly string[]; height: number } {
  let left = 0;
  let line = 0;
  const places = series.map(({ name }) => {
    const width = 18 + name.length * LETTER + 12;
    if (left > 0 && left + width > box.width - 16) {
      left = 0;
      line++;
    }
    const place = { left: box.left + 10 + left, line };
    left += width;
    return place;
  });
  const height = (line + 1) * LEGEND_LINE;
  const drawn = places.flatMap((place, index) => {
    const base = box.top + box.height - height + place.line * LEGEND_LINE + 8;
    return [
      `<path stroke="${colorOf(index)}" stroke-width="3" d="M${fixed(place.left)} ${base - 3.5}h12"/>`,
      text(place.left + 17, base, series[index]!.name),
    ];
  });
  return { drawn, height };
}

/** The parts of a series between the times at which it has no value. */
function unbroken(points: DrawnSeries["points"], step: number): DrawnSeries["points"][] {
  const parts: (readonly [number, number])[][] = [];
  let before = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point[0] - before > step * 1.5) parts.push([]);
    parts.at(-1)!.push(point);
    before = point[0];
  }
  return parts;
}

/** The points without those whose neighbours have the same value, because a line needs only its ends. */
function withoutFlat(points: DrawnSeries["points"]): DrawnSeries["points"] {
  return points.filter(([, value], i) => points[i - 1]?.[1] !== value || points[i + 1]?.[1] !== value);
}

/** Three to six round values from 0 to `most` or a little more. */
function ticksUpTo(most: number): readonly number[] {
  if (most === 0) return [0, 1];
  // A value that is hardly over a tick needs no further one.
  const rough = most / 4.1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 2.5, 5].find((factor) => factor * power >= rough) ?? 10);
  return Array.from({ length: Math.ceil(most / step - 0.05) + 1 }, (_, index) => index * step);
}

/** A value as the units of Grafana write it. */
function show(value: number, unit: string): string {
  const number = (scaled: number, suffix: string) => `${Number(scaled.toPrecision(3))}${suffix}`;
  if (value === 0 && unit !== "percentunit") return "0";
  if (unit === "percentunit") return number(value * 100, "%");
  if (unit === "s") return value < 1 ? number(value * 1_000, " ms") : number(value, " s");
  if (unit === "reqps") return number(value, " req/s");
  if (unit === "short") return number(value, "");
  throw new Error(`the unit ${unit} of the dashboard is new to this script`);
}

function text(x: number, y: number, content: string, name = "", anchor = "start"): string {
  const safe = content.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const attributes = `${name && ` class="${name}"`}${anchor === "start" ? "" : ` text-anchor="${anchor}"`}`;
  return `<text x="${fixed(x)}" y="${fixed(y)}"${attributes}>${safe}</text>`;
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length]!;
}

function fixed(value: number): number {
  return Number(value.toFixed(1));
}
