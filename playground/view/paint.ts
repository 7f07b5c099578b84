// What is drawn pixel by pixel, on the charts' own canvas.

import type uPlot from "uplot";
import type { Answer } from "../model/simulation.ts";
import type { LiveBucket } from "../model/views.ts";
import { colour } from "./dom.ts";

/** A bar a bucket, by its age: what was accepted, and what was declined on top. */
export function paintBuckets(
  context: CanvasRenderingContext2D,
  plot: uPlot,
  buckets: readonly LiveBucket[],
  nowMs: number,
  bucketMs: number,
): void {
  const [acceptedInk, declinedInk] = [colour("admitted"), colour("denied")];
  const zero = plot.valToPos(0, "y", true);
  for (const { startMs, accepted, declined } of buckets) {
    const left = plot.valToPos((startMs - nowMs) / 1_000, "x", true);
    const right = plot.valToPos(Math.min(0, (startMs + bucketMs - nowMs) / 1_000), "x", true);
    const width = Math.max(1, (right - left) * 0.84);
    const middle = plot.valToPos(accepted, "y", true);
    const top = plot.valToPos(accepted + declined, "y", true);
    context.fillStyle = acceptedInk;
    context.fillRect(left, middle, width, zero - middle);
    context.fillStyle = declinedInk;
    context.fillRect(left, top, width, middle - top);
  }
}

/** A tick a call; where several share a place, as high as their share. What the second limit denied comes lowest. */
export function paintFate(context: CanvasRenderingContext2D, plot: uPlot, fate: readonly Answer[]): void {
  const wide = 2 * devicePixelRatio;
  const columns = new Map<number, { admitted: number; first: number; second: number }>();
  for (const { ms, deniedBy } of fate) {
    const column = Math.floor(plot.valToPos(ms / 1_000, "x", true) / wide);
    const counts = columns.get(column) ?? { admitted: 0, first: 0, second: 0 };
    counts[deniedBy ?? "admitted"]++;
    columns.set(column, counts);
  }
  const [admittedInk, firstInk, secondInk] = [colour("admitted"), colour("denied"), colour("denied-second")];
  const zero = plot.valToPos(0, "y", true);
  const reach = zero - plot.valToPos(1, "y", true);
  for (const [column, { admitted, first, second }] of columns) {
    const heightOf = (count: number) => (reach * count) / (admitted + first + second);
    context.fillStyle = admittedInk;
    context.fillRect(column * wide, zero - heightOf(admitted), wide * 0.8, heightOf(admitted));
    context.fillStyle = firstInk;
    context.fillRect(column * wide, zero, wide * 0.8, heightOf(first));
    context.fillStyle = secondInk;
    context.fillRect(column * wide, zero + heightOf(first), wide * 0.8, heightOf(second));
  }
}
