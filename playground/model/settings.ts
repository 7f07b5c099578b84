// What can be set in the playground, and how it is written in the URL: only what differs from the defaults, so
// that links stay short. What a link says comes from strangers: it is clamped, and what can't be read is left out.

export type StrategyName = "absolute" | "suppressed";
export type LoadName = "steady" | "burst" | "ramp" | "on-off" | "clients" | "trace";

export interface Settings {
  readonly strategy: StrategyName | "both";
  readonly ratePerSecond: number;
  readonly windowMs: number;
  readonly bucketMs: number;
  readonly hardLimitFactor: number;
  /** How many calls a second limit admits in its window; 0 for no second limit. Both are checked as one. */
  readonly secondLimit: number;
  readonly secondWindowMs: number;
  readonly load: LoadName;
  /** What the load offers, at its most. */
  readonly offeredPerSecond: number;
  readonly seconds: number;
  /** How many clients share the load "clients"; each offers twice what the one before it does. */
  readonly clients: number;
  /** Whether the clients have one limit together, or each its own. */
  readonly limit: "together" | "each";
  /** Whose fate is shown, from 0. */
  readonly client: number;
  readonly trace: string;
  readonly seed: number;
}

export const DEFAULTS: Settings = {
  strategy: "both",
  ratePerSecond: 100,
  windowMs: 10_000,
  bucketMs: 100,
  hardLimitFactor: 1.5,
  secondLimit: 0,
  secondWindowMs: 60_000,
  load: "steady",
  offeredPerSecond: 400,
  seconds: 60,
  clients: 3,
  limit: "together",
  client: 0,
  trace: "",
  seed: 1,
};

type NumberName = { [K in keyof Settings]: Settings[K] extends number ? K : never }[keyof Settings];
type ChoiceName = "strategy" | "load" | "limit";

export const RANGES: Record<NumberName, { readonly least: number; readonly most: number; readonly whole?: true }> = {
  ratePerSecond: { least: 0.1, most: 10_000 },
  windowMs: { least: 100, most: 600_000 },
  bucketMs: { least: 1, most: 600_000 },
  hardLimitFactor: { least: 1, most: 10 },
  secondLimit: { least: 0, most: 1_000_000, whole: true },
  secondWindowMs: { least: 100, most: 600_000 },
  offeredPerSecond: { least: 0.1, most: 20_000 },
  seconds: { least: 5, most: 600, whole: true },
  clients: { least: 2, most: 6, whole: true },
  client: { least: 0, most: 49, whole: true },
  seed: { least: 1, most: 999_999, whole: true },
};

export const CHOICES: { readonly [K in ChoiceName]: readonly Settings[K][] } = {
  strategy: ["both", "absolute", "suppressed"],
  load: ["steady", "burst", "ramp", "on-off", "clients", "trace"],
  limit: ["together", "each"],
};

/** How many calls a run may have, so that a page stays quick. */
export const MOST_CALLS = 300_000;

/** A longer trace stays out of the URL. */
export const LONGEST_TRACE_IN_URL = 20_000;

/** Settings that can be run: numbers in their ranges and in accord with each other. */
export function settled(settings: Settings): Settings {
  const { trace } = settings;
  const numbers = {} as Record<NumberName, number>;
  for (const name of Object.keys(RANGES) as NumberName[]) numbers[name] = inRange(name, settings[name]);
  // Less than one request in the window would be an error, and the limiter says which window would do.
  numbers.windowMs = Math.max(numbers.windowMs, Math.ceil(1_000 / numbers.ratePerSecond));
  numbers.bucketMs = Math.min(numbers.bucketMs, numbers.windowMs);
  numbers.seconds = Math.min(numbers.seconds, Math.max(5, Math.floor(MOST_CALLS / numbers.offeredPerSecond)));
  const choices = {} as { -readonly [K in ChoiceName]: Settings[K] };
  for (const name of Object.keys(CHOICES) as ChoiceName[]) {
    const known = (CHOICES[name] as readonly string[]).includes(settings[name]);
    Object.assign(choices, { [name]: known ? settings[name] : DEFAULTS[name] });
  }
  // How many clients a trace has shows when it is read.
  const clients =
    choices.load === "clients" ? numbers.clients : choices.load === "trace" ? Number.POSITIVE_INFINITY : 1;
  numbers.client = Math.min(numbers.client, clients - 1);
  return { ...numbers, ...choices, trace };
}

function inRange(name: NumberName, value: number): number {
  const { least, most, whole } = RANGES[name];
  if (!Number.isFinite(value)) return DEFAULTS[name];
  const clamped = Math.min(most, Math.max(least, value));
  return whole ? Math.round(clamped) : clamped;
}

/** The settings as the part of a URL behind `#`; "" for the defaults. */
export function toHash(settings: Settings): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(settings)) {
    if (name === "trace" && value.length > LONGEST_TRACE_IN_URL) continue;
    if (value !== DEFAULTS[name as keyof Settings]) params.set(name, String(value));
  }
  return params.toString();
}

export function fromHash(hash: string): Settings {
  const settings: Record<string, unknown> = { ...DEFAULTS };
  for (const [name, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const fallback = DEFAULTS[name as keyof Settings];
    if (typeof fallback === "number") settings[name] = text.trim() === "" ? fallback : Number(text);
    else if (typeof fallback === "string") settings[name] = text;
  }
  return settled(settings as unknown as Settings);
}
