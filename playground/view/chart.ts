// Charts over the time of a run, with what is still to come behind a veil, and a chart of the window.

import uPlot from "uplot";
import { colour, element } from "./dom.ts";

/** A chart in its figure. */
export interface Chart {
  readonly figure: HTMLElement;
  draw(width: number): void;
  /** Where one looks. */
  moveTo(ms: number): void;
  /** What it shows there, in words. */
  say(text: string): void;
  destroy(): void;
}

export interface Key {
  readonly colour: string;
  readonly text: string;
  readonly dashed?: true;
}

/** Draws with the canvas's own pixels. */
type Paint = (context: CanvasRenderingContext2D, plot: uPlot) => void;

export interface ChartOptions {
  readonly title: string;
  readonly keys: readonly Key[];
  readonly height: number;
  readonly data: () => uPlot.AlignedData;
  readonly xRange: () => [number, number];
  readonly yRange: () => [number, number];
  readonly series: () => uPlot.Series[];
  readonly paint?: Paint;
  readonly xUnit: string;
  readonly yValues?: (values: number[]) => string[];
  /** Called with seconds of the run when somebody points at them; absent where x is no such time. */
  readonly onPoint?: (seconds: number) => void;
}

export function makeChart(options: ChartOptions): Chart {
  const keys = options.keys.map(({ colour: name, text, dashed }) =>
    element("span", { style: `--key: var(--${name})`, class: dashed ? "dashed" : "" }, text),
  );
  const caption = element(
    "figcaption",
    {},
    element("h3", {}, options.title),
    element("div", { class: "keys" }, ...keys),
  );
  const canvas = element("div", { class: "chart", role: "img" });
  const reading = element("p", { class: "reading" });
  const figure = element("figure", {}, caption, canvas, reading);
  const veil = element("div", { class: "veil" });
  let plot: uPlot | undefined;
  let nowMs = 0;

  const placeVeil = () => {
    if (plot === undefined || options.onPoint === undefined) return;
    const [from, to] = options.xRange();
    const share = Math.min(1, Math.max(0, (nowMs / 1_000 - from) / (to - from)));
    veil.style.left = `${share * 100}%`;
    veil.hidden = share === 1;
  };

  return {
    figure,
    draw(width) {
      plot?.destroy();
      plot = new uPlot(configOf(options, width), options.data(), canvas);
      if (options.onPoint === undefined) return;
      plot.over.append(veil);
      pointing(plot, options.onPoint);
      placeVeil();
    },
    moveTo(ms) {
      nowMs = ms;
      if (options.onPoint === undefined) plot?.setData(options.data());
      else placeVeil();
    },
    say(text) {
      reading.textContent = text;
      canvas.setAttribute("aria-label", `${options.title}. ${text}`);
    },
    destroy() {
      plot?.destroy();
    },
  };
}

function configOf(options: ChartOptions, width: number): uPlot.Options {
  const axis = {
    stroke: colour("muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { show: false },
  };
  const values = (_: uPlot, splits: number[]) => splits.map((split) => `${Number(split.toFixed(3))}${options.xUnit}`);
  const yValues = options.yValues;
  return {
    width,
    height: options.height,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: () => options.xRange() }, y: { range: () => options.yRange() } },
    axes: [
      { ...axis, grid: { show: false }, size: 24, gap: 4, values, space: 64 },
      {
        ...axis,
        size: 44,
        gap: 6,
        space: 28,
        ...(yValues ? { values: (_: uPlot, splits: number[]) => yValues(splits) } : {}),
      },
    ],
    series: [{}, ...options.series()],
    hooks: { draw: [(plot) => options.paint?.(plot.ctx, plot)] },
  };
}

function pointing(plot: uPlot, onPoint: (seconds: number) => void): void {
  const point = (event: PointerEvent) =>
    onPoint(plot.posToVal(event.clientX - plot.over.getBoundingClientRect().left, "x"));
  plot.over.addEventListener("pointerdown", (event) => {
    plot.over.setPointerCapture(event.pointerId);
    point(event);
  });
  plot.over.addEventListener("pointermove", (event) => {
    if (plot.over.hasPointerCapture(event.pointerId)) point(event);
  });
}

/** A dashed line across, with its value at the right. */
export function dashedLine(context: CanvasRenderingContext2D, plot: uPlot, value: number, ink: string): void {
  const { left, width, top } = plot.bbox;
  const y = Math.round(plot.valToPos(value, "y", true));
  if (y < top) return;
  context.save();
  context.strokeStyle = ink;
  context.lineWidth = devicePixelRatio * 1.25;
  context.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  context.beginPath();
  context.moveTo(left, y);
  context.lineTo(left + width, y);
  context.stroke();
  context.restore();
}
