// The form. A number has a field to type it and a slider, on a scale of ratios where that is how one thinks of it.

import { CHOICES, RANGES, type Settings } from "../model/settings.ts";
import { byId, element } from "./dom.ts";

type NumberName = keyof typeof RANGES;

interface NumberField {
  readonly name: NumberName;
  readonly label: string;
  readonly unit: string;
  readonly scale?: "ratio";
  /** What the field shows for 1 of the unit in the settings. */
  readonly per?: number;
  /** The slider's end, where that is less than what can be typed. */
  readonly slideTo?: number;
  readonly slideFrom?: number;
}

const LIMIT_FIELDS: readonly NumberField[] = [
  { name: "ratePerSecond", label: "Rate", unit: "/s", scale: "ratio", slideFrom: 1, slideTo: 1_000 },
  { name: "windowMs", label: "Window", unit: "s", scale: "ratio", per: 1_000, slideFrom: 1_000, slideTo: 60_000 },
  { name: "bucketMs", label: "Bucket", unit: "ms", scale: "ratio", slideTo: 10_000 },
  { name: "hardLimitFactor", label: "Hard limit factor", unit: "×", slideTo: 4 },
  { name: "secondLimit", label: "Second limit (0: none)", unit: "", slideTo: 20_000 },
  { name: "secondWindowMs", label: "Its window", unit: "s", scale: "ratio", per: 1_000, slideFrom: 1_000 },
];

const LOAD_FIELDS: readonly NumberField[] = [
  { name: "offeredPerSecond", label: "Offered", unit: "/s", scale: "ratio", slideFrom: 1, slideTo: 5_000 },
  { name: "seconds", label: "Length", unit: "s", slideTo: 180 },
  { name: "clients", label: "Clients", unit: "" },
];

const NAMES: Record<string, string> = {
  both: "Both",
  absolute: "Absolute",
  suppressed: "Suppressed",
  steady: "steady",
  burst: "bursts",
  ramp: "a ramp",
  "on-off": "on and off",
  clients: "several clients",
  trace: "a trace",
  together: "all together",
  each: "each client",
};

const SLIDER_STEPS = 200;

export interface Controls {
  /** Shows other settings; the names are of the clients that the load has. */
  show(settings: Settings, clients: readonly string[]): void;
}

export function makeControls(onChange: (change: Partial<Settings>) => void): Controls {
  const numbers = [...LIMIT_FIELDS, ...LOAD_FIELDS].map((field) => [field, numberField(field, onChange)] as const);
  const made = new Map(numbers.map(([field, control]) => [field.name, control]));
  const load = choiceField("load", "Shape", onChange);
  const limit = choiceField("limit", "The limit is for", onChange);
  const strategy = segments(onChange);
  const client = element("select", { id: "client" });
  client.addEventListener("change", () => onChange({ client: Number(client.value) }));
  const clientBox = element("div", { class: "field" }, element("label", { for: "client" }, "Client on show"), client);
  const trace = traceField(onChange);
  const of = (fields: readonly NumberField[]) => fields.map(({ name }) => made.get(name)!.box);
  byId("controls").append(
    element("fieldset", {}, element("legend", {}, "Strategy"), strategy.box),
    element("fieldset", {}, element("legend", {}, "Limit"), ...of(LIMIT_FIELDS)),
    element(
      "fieldset",
      {},
      element("legend", {}, "Load"),
      load.box,
      trace.box,
      ...of(LOAD_FIELDS),
      limit.box,
      clientBox,
    ),
  );
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  return {
    show(settings, clients) {
      for (const [{ name }, control] of numbers) control.show(settings[name]);
      for (const control of [load, limit, strategy]) control.show(settings);
      trace.show(settings.trace);
      const traced = settings.load === "trace";
      trace.box.hidden = !traced;
      made.get("offeredPerSecond")!.box.hidden = traced;
      made.get("seconds")!.box.hidden = traced;
      made.get("clients")!.box.hidden = settings.load !== "clients";
      made.get("hardLimitFactor")!.box.hidden = settings.strategy === "absolute";
      made.get("secondWindowMs")!.box.hidden = settings.secondLimit === 0;
      limit.box.hidden = clients.length === 1;
      clientBox.hidden = clients.length === 1;
      client.replaceChildren(...clients.map((name, i) => element("option", { value: i }, name)));
      client.value = String(settings.client);
    },
  };
}

function numberField(field: NumberField, onChange: (change: Partial<Settings>) => void) {
  const { name, label, unit, per = 1 } = field;
  const range = RANGES[name];
  const from = field.slideFrom ?? range.least;
  const to = field.slideTo ?? range.most;
  const typed = element("input", {
    type: "number",
    id: name,
    min: range.least / per,
    max: range.most / per,
    step: range.whole ? 1 : "any",
    inputmode: "decimal",
  });
  const stepped = range.whole ? to - from : SLIDER_STEPS;
  const slider = element("input", { type: "range", min: 0, max: stepped, "aria-label": `${label}, slider` });
  const valueAt = (position: number) => {
    const share = position / stepped;
    if (field.scale === "ratio") return rounded(from * (to / from) ** share);
    return range.whole ? from + position : rounded(from + (to - from) * share);
  };
  const positionOf = (value: number) => {
    const share = field.scale === "ratio" ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
    return Math.round(share * stepped);
  };
  slider.addEventListener("input", () => onChange({ [name]: valueAt(slider.valueAsNumber) }));
  typed.addEventListener("change", () => onChange({ [name]: typed.valueAsNumber * per }));
  const entry = element(
    "span",
    { class: "entry" },
    typed,
    element("span", { class: "unit", "aria-hidden": "true" }, unit),
  );
  const box = element("div", { class: "field" }, element("label", { for: name }, label), entry, slider);
  const show = (value: number) => {
    typed.value = String(value / per);
    slider.value = String(positionOf(value));
    slider.setAttribute("aria-valuetext", `${value / per} ${unit}`);
  };
  return { box, show };
}

/** To two digits, which is what a slider can mean. */
function rounded(value: number): number {
  return Number(value.toPrecision(2));
}

function choiceField(name: "load" | "limit", label: string, onChange: (change: Partial<Settings>) => void) {
  const options = CHOICES[name].map((value) => element("option", { value }, NAMES[value]!));
  const select = element("select", { id: name }, ...options);
  select.addEventListener("change", () => onChange({ [name]: select.value }));
  const box = element("div", { class: "field" }, element("label", { for: name }, label), select);
  const show = (settings: Settings) => {
    select.value = settings[name];
  };
  return { box, show };
}

function segments(onChange: (change: Partial<Settings>) => void) {
  const inputs = CHOICES.strategy.map((value) => {
    const input = element("input", { type: "radio", name: "strategy", value });
    input.addEventListener("change", () => onChange({ strategy: value }));
    return input;
  });
  const labels = inputs.map((input) => element("label", {}, input, NAMES[input.value]!));
  const show = (settings: Settings) => {
    for (const input of inputs) input.checked = input.value === settings.strategy;
  };
  return { box: element("div", { class: "segments" }, ...labels), show };
}

function traceField(onChange: (change: Partial<Settings>) => void) {
  const text = element("textarea", { id: "trace", rows: 6, spellcheck: "false", placeholder: "0.12 alice\n0.15 bob" });
  text.addEventListener("input", () => onChange({ trace: text.value }));
  const hint = element(
    "p",
    { class: "hint", id: "trace-hint" },
    "A line for each call: its time, in seconds or as a date, and its client.",
  );
  text.setAttribute("aria-describedby", hint.id);
  const box = element("div", { class: "field" }, element("label", { for: "trace" }, "Trace"), text, hint);
  const show = (trace: string) => {
    if (text.value !== trace) text.value = trace;
  };
  return { box, show };
}
