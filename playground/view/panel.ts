// One strategy: its numbers, its four charts, and the same as a table.

import uPlot from "uplot";
import type { Answer, Run, Simulation } from "../model/simulation.ts";
import {
  denialsOf,
  factorsOf,
  fateOf,
  type LiveBucket,
  liveBuckets,
  type Second,
  secondsOf,
  totalsOf,
} from "../model/views.ts";
import { type Chart, dashedLine, makeChart } from "./chart.ts";
import { colour, element, number } from "./dom.ts";
import { paintBuckets, paintFate } from "./paint.ts";
import { tableOf } from "./table.ts";

const TITLES = { absolute: "Absolute", suppressed: "Suppressed" };

const RULES = {
  absolute: "Calls up to the capacity pass, the others are rejected at once.",
  suppressed: "Over the limit, a random share of the calls is denied, and it grows with the load.",
};

/** How many times the limit the first chart is high: what is offered beyond that runs off it. */
const TIMES_LIMIT_SHOWN = 5;
/** As many calls a second always have room. */
const FEWEST_SHOWN = 10;

export class Panel {
  readonly box: HTMLElement;
  readonly #simulation: Simulation;
  readonly #run: Run;
  readonly #seconds: readonly Second[];
  readonly #factors: readonly number[];
  readonly #fate: readonly Answer[];
  readonly #charts: { readonly flow: Chart; readonly factor: Chart; readonly window: Chart; readonly fate: Chart };
  #buckets: readonly LiveBucket[] = [];
  #nowMs = 0;

  constructor(simulation: Simulation, run: Run, seek: (ms: number) => void) {
    this.#simulation = simulation;
    this.#run = run;
    this.#seconds = secondsOf(simulation, run);
    this.#factors = factorsOf(simulation, run);
    this.#fate = fateOf(simulation, run);
    const onPoint = (seconds: number) => seek(seconds * 1_000);
    this.#charts = {
      flow: this.#flowChart(onPoint),
      factor: this.#factorChart(onPoint),
      window: this.#windowChart(),
      fate: this.#fateChart(onPoint),
    };
    const charts = Object.values(this.#charts).map(({ figure }) => figure);
    const title = element("h2", { id: `title-${run.strategy}` }, TITLES[run.strategy]);
    this.box = element("section", { class: "panel", "aria-labelledby": title.id, "data-strategy": run.strategy });
    this.box.append(
      title,
      element("p", { class: "rule" }, RULES[run.strategy]),
      this.#numbers(),
      element("p", { class: "note" }, this.#unevenness()),
      ...charts,
      tableOf(`${TITLES[run.strategy]}, second by second`, this.#seconds, this.#factors, run.frameMs),
    );
  }

  draw(): void {
    const width = Math.max(200, this.box.clientWidth - 2 * Number.parseFloat(getComputedStyle(this.box).paddingLeft));
    for (const chart of Object.values(this.#charts)) chart.draw(width);
  }

  /** @param words whether to put what is there in words too, which is of no use while it moves */
  moveTo(ms: number, words: boolean): void {
    this.#nowMs = ms;
    this.#buckets = liveBuckets(this.#simulation, this.#run, ms);
    for (const chart of Object.values(this.#charts)) chart.moveTo(ms);
    if (words) this.#say();
  }

  destroy(): void {
    for (const chart of Object.values(this.#charts)) chart.destroy();
  }

  /** Offered, admitted and denied at the playhead, for whoever can't see the charts. */
  get summary(): string {
    const { offered, admitted } = this.#secondNow();
    return `${TITLES[this.#run.strategy]}: ${number(admitted)} of ${number(offered)} admitted in this second.`;
  }

  #secondNow(): Second {
    const index = Math.min(this.#seconds.length, Math.max(1, Math.floor(this.#nowMs / 1_000))) - 1;
    return this.#seconds[index]!;
  }

  #say(): void {
    const { settings, load } = this.#simulation;
    const { offered, admitted } = this.#secondNow();
    const { flow, factor, window, fate } = this.#charts;
    flow.say(
      `${number(admitted)} of ${number(offered)} admitted in the second up to ${number(this.#nowMs / 1_000, 1)} s.`,
    );
    const now = this.#factors[Math.min(this.#factors.length - 1, Math.floor(this.#nowMs / this.#run.frameMs))]!;
    factor.say(`${number(now, 2)}: ${number(now * 100)} % of calls are being denied.`);
    const accepted = this.#buckets.reduce((sum, bucket) => sum + bucket.accepted, 0);
    const declined = this.#buckets.reduce((sum, bucket) => sum + bucket.declined, 0);
    const capacity = Math.floor((settings.ratePerSecond * settings.windowMs) / 1_000 + 1e-9);
    const denied = declined > 0 ? `, and ${number(declined)} declined` : "";
    const live = this.#buckets.length === 1 ? "1 live bucket" : `${number(this.#buckets.length)} live buckets`;
    window.say(`${live} with ${number(accepted)} accepted of a capacity of ${number(capacity)}${denied}.`);
    const past = this.#fate.filter(({ ms }) => ms <= this.#nowMs);
    const last = past.at(-1);
    const name = load.clients[settings.client]!;
    const got = past.filter(({ allowed }) => allowed).length;
    const end =
      last === undefined
        ? ""
        : ` Its last call was ${last.allowed ? "admitted" : `denied${this.#denierOf(last)}: ${waitOf(last)}`}.`;
    fate.say(`${number(got)} of ${number(past.length)} calls of ${name} were admitted.${end}`);
  }

  /** Which limit denied the call, where there are two. */
  #denierOf({ deniedBy }: Answer): string {
    return this.#simulation.settings.secondLimit > 0 ? ` by the ${deniedBy} limit` : "";
  }

  #flowChart(onPoint: (seconds: number) => void): Chart {
    const seconds = this.#seconds;
    const rate = this.#simulation.settings.ratePerSecond;
    // Of all runs, so that charts side by side have one scale.
    const all = this.#simulation.runs.flatMap((run) => secondsOf(this.#simulation, run));
    const most = Math.max(...all.map(({ offered }) => offered), rate);
    const top =
      Math.min(most, Math.max(FEWEST_SHOWN, rate * TIMES_LIMIT_SHOWN, ...all.map(({ admitted }) => admitted))) * 1.06;
    const stepped = uPlot.paths.stepped!({ align: 1 });
    const held = (values: number[]) => [...values, values.at(-1)!];
    const beyond = most > top ? ` (up to ${number(most)})` : "";
    return makeChart({
      title: "Calls per second",
      keys: [
        { colour: "offered", text: `offered${beyond}` },
        { colour: "admitted", text: "admitted" },
        { colour: "limit", text: "limit", dashed: true },
      ],
      height: 200,
      xUnit: " s",
      data: () => [
        [...seconds.keys(), seconds.length],
        held(seconds.map(({ offered }) => offered)),
        held(seconds.map(({ admitted }) => admitted)),
      ],
      xRange: () => [0, seconds.length],
      yRange: () => [0, top],
      series: () => [
        { stroke: colour("offered"), fill: colour("offered"), width: 0, paths: stepped, points: { show: false } },
        {
          stroke: colour("admitted"),
          fill: `${colour("admitted")}cc`,
          width: 1,
          paths: stepped,
          points: { show: false },
        },
      ],
      paint: (context, plot) => dashedLine(context, plot, rate, colour("limit")),
      onPoint,
    });
  }

  #factorChart(onPoint: (seconds: number) => void): Chart {
    const { frameMs } = this.#run;
    const end = this.#simulation.load.seconds;
    return makeChart({
      title: "Suppression factor",
      keys: [{ colour: "factor", text: "share of calls that is denied" }],
      height: 110,
      xUnit: " s",
      data: () => [this.#factors.map((_, frame) => (frame * frameMs) / 1_000), [...this.#factors]],
      xRange: () => [0, end],
      yRange: () => [0, 1.04],
      series: () => [{ stroke: colour("factor"), fill: `${colour("factor")}22`, width: 1.5, points: { show: false } }],
      onPoint,
    });
  }

  #windowChart(): Chart {
    const { windowMs, bucketMs } = this.#simulation.settings;
    const heights = () => this.#buckets.map(({ accepted, declined }) => accepted + declined);
    const span = (windowMs + bucketMs) / 1_000;
    return makeChart({
      title: "Live buckets in the window",
      keys: [
        { colour: "admitted", text: "accepted" },
        { colour: "denied", text: "declined" },
      ],
      height: 120,
      xUnit: " s",
      data: () => [
        [-span, 0],
        [0, Math.max(0, ...heights())],
      ],
      xRange: () => [-span, 0],
      yRange: () => [0, Math.max(4, ...heights()) * 1.08],
      series: () => [{ width: 0, points: { show: false } }],
      paint: (context, plot) => paintBuckets(context, plot, this.#buckets, this.#nowMs, bucketMs),
    });
  }

  #fateChart(onPoint: (seconds: number) => void): Chart {
    const { load, settings } = this.#simulation;
    const name = load.clients[settings.client]!;
    return makeChart({
      title: load.clients.length === 1 ? "Each call's fate" : `The fate of ${name}`,
      keys: [
        { colour: "admitted", text: "admitted, upwards" },
        ...(settings.secondLimit > 0
          ? [
              { colour: "denied", text: "denied by the first limit" },
              { colour: "denied-second", text: "by the second" },
            ]
          : [{ colour: "denied", text: "denied, downwards" }]),
      ],
      height: 96,
      xUnit: " s",
      data: () => [
        [0, load.seconds],
        [0, 0],
      ],
      xRange: () => [0, load.seconds],
      yRange: () => [-1.1, 1.1],
      series: () => [{ width: 0, points: { show: false } }],
      yValues: (values) => values.map(() => ""),
      paint: (context, plot) => paintFate(context, plot, this.#fate),
      onPoint,
    });
  }

  /** What the number means, and with what to compare it. */
  #unevenness(): string {
    const { ratePerSecond } = this.#simulation.settings;
    return (
      "Unevenness says how much the admitted calls differ from second to second. 0: the same number in each second. " +
      `${number(1 / Math.sqrt(ratePerSecond), 2)}: as even as ${number(ratePerSecond, 1)} calls a second at random times. ` +
      "1 or more: bursts, with pauses between them."
    );
  }

  #numbers(): HTMLElement {
    const { offered, admitted, meanOverLimit, variation } = totalsOf(this.#simulation, this.#run);
    const share = offered === 0 ? 0 : (admitted / offered) * 100;
    const pairs = [
      ["admitted", `${number(admitted)} of ${number(offered)}`, `${number(share)} %`],
      [
        "mean, settled",
        `${number(meanOverLimit * 100)} %`,
        "admitted calls per second in the second half of the run, as a share of the limit",
      ],
      [
        "unevenness",
        number(variation, 2),
        "standard deviation, divided by the mean, of the calls admitted per second in the second half of the run",
      ],
    ] as const;
    const { first, second } = denialsOf(this.#simulation, this.#run);
    const denials = [
      "denied by",
      `the first ${number(first)}, the second ${number(second)}`,
      "if both limits deny a call, it counts for the limit with the longer wait",
    ] as const;
    const shown = this.#simulation.settings.secondLimit > 0 ? [...pairs, denials] : pairs;
    const rows = shown.map(([term, value, hint]) =>
      element("div", { title: hint }, element("dt", {}, term), element("dd", {}, value)),
    );
    return element("dl", { class: "numbers" }, ...rows);
  }
}

function waitOf({ retryAfterMs }: Answer): string {
  return retryAfterMs === Number.POSITIVE_INFINITY
    ? "it never fits"
    : `retry in ${number(retryAfterMs / 1_000, 2)}\u00a0s`;
}
