// Draws the guide's pictures from real runs of the library, into docs/pictures. Chance is seeded, so a run gives
// the same picture every time; `--check` only tells whether the files are what this would draw.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEFAULTS, type Settings, settled } from "../playground/model/settings.ts";
import { type Run, type Simulation, simulate } from "../playground/model/simulation.ts";
import { factorsOf, type Second, secondsOf } from "../playground/model/views.ts";
import { ROOT } from "../test/support/process.ts";

/** A chart of a picture: what a run is drawn as, and the settings that it differs by from the others. */
interface Part {
  readonly title: string;
  readonly settings: Partial<Settings> & { readonly strategy: "absolute" | "suppressed" };
  readonly draw?: "factor";
}

const OVERLOAD = { ratePerSecond: 100, windowMs: 10_000, offeredPerSecond: 400, seconds: 60 };
const BURSTS = { ...OVERLOAD, load: "burst", offeredPerSecond: 900 } as const;

const PICTURES: Record<string, readonly Part[]> = {
  overload: [
    { title: "absolute, 4 × the limit", settings: { ...OVERLOAD, strategy: "absolute" } },
    { title: "suppressed, 4 × the limit", settings: { ...OVERLOAD, strategy: "suppressed" } },
  ],
  bursts: [
    { title: "absolute, two bursts", settings: { ...BURSTS, strategy: "absolute" } },
    { title: "suppressed, two bursts", settings: { ...BURSTS, strategy: "suppressed" } },
  ],
  ramp: [
    { title: "absolute, a ramp to 4 × the limit", settings: { ...OVERLOAD, load: "ramp", strategy: "absolute" } },
    { title: "suppressed, a ramp to 4 × the limit", settings: { ...OVERLOAD, load: "ramp", strategy: "suppressed" } },
  ],
  factor: [
    { title: "admitted, 4 × the limit", settings: { ...OVERLOAD, strategy: "suppressed" } },
    { title: "its suppression factor", draw: "factor", settings: { ...OVERLOAD, strategy: "suppressed" } },
  ],
  "hard-limit-factor": [1, 1.5, 2].map((hardLimitFactor) => ({
    title: `hardLimitFactor ${hardLimitFactor}`,
    settings: { ...OVERLOAD, strategy: "suppressed", hardLimitFactor },
  })),
  buckets: [100, 2_000, 10_000].map((bucketMs) => ({
    title: `absolute, bucketMs ${bucketMs}`,
    settings: { ...OVERLOAD, strategy: "absolute", bucketMs },
  })),
};

/** Drawn by draw-dashboard.ts, whose data differ from run to run. */
const DASHBOARD = "dashboard.svg";

const WIDTH = 420;
const HEIGHT = 200;
const PLOT = { left: 44, top: 34, width: WIDTH - 60, height: 132 };

const STYLE = `
  svg { background: #fff; font: 12px system-ui, sans-serif; fill: #5c6675; }
  .title { fill: #1d2530; font-weight: 600; font-size: 13px; }
  .offered { fill: #cdd2d9; } .admitted { fill: #11806f; } .factor { fill: #5b63b7; }
  .limit { stroke: #8a6a00; stroke-dasharray: 5 4; } .axis { stroke: #d9d6ce; }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; fill: #9aa5b4; }
    .title { fill: #e8ebef; }
    .offered { fill: #3c4653; } .admitted { fill: #46bfa9; } .factor { fill: #9aa2f0; }
    .limit { stroke: #dcb84f; } .axis { stroke: #2b323c; }
  }`;

function pictureOf(parts: readonly Part[]): string {
  const runs = parts.map(({ settings }) => simulate(settled({ ...DEFAULTS, ...settings })));
  const top = topOf(runs);
  const drawn = parts.map((part, i) => {
    const simulation = runs[i]!;
    const run = simulation.runs[0]!;
    const draw = part.draw === "factor" ? drawFactor : drawCalls;
    const title = `<text class="title" x="${PLOT.left}" y="20">${part.title}</text>`;
    return `<g transform="translate(${i * WIDTH} 0)">\n${title}\n${draw(simulation, run, top)}\n</g>`;
  });
  const size = `width="${parts.length * WIDTH}" height="${HEIGHT}" viewBox="0 0 ${parts.length * WIDTH} ${HEIGHT}"`;
  const titles = parts.map(({ title }) => title).join("; ");
  return `<!-- Drawn by scripts/draw-pictures.ts from runs of the library. -->
<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="${titles}">
<style>${STYLE}
</style>
${drawn.join("\n")}
</svg>
`;
}

/** One scale for the charts of a picture; what is offered beyond five times the limit runs off it. */
function topOf(simulations: readonly Simulation[]): number {
  const seconds = simulations.flatMap((each) => secondsOf(each, each.runs[0]!));
  const most = Math.max(...seconds.map(({ offered }) => offered));
  const limit = simulations[0]!.settings.ratePerSecond;
  return Math.min(most, Math.max(5 * limit, ...seconds.map(({ admitted }) => admitted)));
}

function drawCalls(simulation: Simulation, run: Run, top: number): string {
  const seconds = secondsOf(simulation, run);
  const steps = (of: (second: Second) => number) => {
    const points = seconds.map(
      (second, i) => `L${x(i, seconds.length)} ${y(of(second), top)}H${x(i + 1, seconds.length)}`,
    );
    return `M${PLOT.left} ${y(0, top)}${points.join("")}V${y(0, top)}Z`;
  };
  const limit = y(simulation.settings.ratePerSecond, top);
  return [
    `<path class="offered" d="${steps(({ offered }) => offered)}"/>`,
    `<path class="admitted" d="${steps(({ admitted }) => admitted)}"/>`,
    `<path class="limit" d="M${PLOT.left} ${limit}H${PLOT.left + PLOT.width}"/>`,
    ...axes(seconds.length, [0, simulation.settings.ratePerSecond, Math.floor(top / 100) * 100], top, "/s"),
  ].join("\n");
}

function drawFactor(simulation: Simulation, run: Run): string {
  const factors = factorsOf(simulation, run);
  const points = factors.map((factor, i) => `L${x(i, factors.length - 1)} ${y(factor, 1)}`);
  const area = `M${PLOT.left} ${y(0, 1)}${points.join("")}V${y(0, 1)}Z`;
  return [`<path class="factor" d="${area}"/>`, ...axes(simulation.load.seconds, [0, 0.5, 1], 1, "")].join("\n");
}

function axes(seconds: number, values: readonly number[], top: number, unit: string): string[] {
  const base = y(0, top);
  const labels = values.map(
    (value) =>
      `<text x="${PLOT.left - 6}" y="${y(value, top) + 4}" text-anchor="end">${value}${value > 0 ? unit : ""}</text>`,
  );
  const times = [0, 1, 2, 3].map((third) => {
    const second = Math.round((seconds * third) / 3);
    return `<text x="${x(second, seconds)}" y="${base + 18}" text-anchor="middle">${second} s</text>`;
  });
  return [`<path class="axis" d="M${PLOT.left} ${base}H${PLOT.left + PLOT.width}"/>`, ...labels, ...times];
}

function x(value: number, most: number): number {
  return fixed(PLOT.left + (value / most) * PLOT.width);
}

function y(value: number, top: number): number {
  return fixed(PLOT.top + PLOT.height * (1 - Math.min(1, value / top)));
}

function fixed(value: number): number {
  return Number(value.toFixed(1));
}

const folder = join(ROOT, "docs", "pictures");
mkdirSync(folder, { recursive: true });
const drawn = new Map(Object.entries(PICTURES).map(([name, parts]) => [`${name}.svg`, pictureOf(parts)]));
if (!process.argv.includes("--check")) {
  for (const [file, picture] of drawn) writeFileSync(join(folder, file), picture);
} else {
  const files = readdirSync(folder).filter((file) => file !== DASHBOARD);
  const stale = [...new Set([...files, ...drawn.keys()])].filter((file) => {
    return !files.includes(file) || readFileSync(join(folder, file), "utf8") !== drawn.get(file);
  });
  if (stale.length > 0) {
    console.error(`docs/pictures is not what the runs draw (${stale.join(", ")}): run npm run docs:pictures`);
    process.exitCode = 1;
  }
}
