// The header fields that tell a client where it stands. Each form is a function of its own, because the drafts differ in
// more than names and none is a standard yet. Names are in lower case, as HTTP/2 and half of the frameworks send them.

import { show, TrypemaError } from "../core/errors.ts";

/**
 * `"draft-10"`, `"draft-7"` and `"draft-6"` are the forms of draft-ietf-httpapi-ratelimit-headers; `"x-ratelimit"` is
 * `X-RateLimit-Limit`, `-Remaining` and `-Reset`, whose reset is in seconds since 1970.
 */
export type HeaderForm = "draft-10" | "draft-7" | "draft-6" | "x-ratelimit" | "none";

/** Where a request stands with one limiter. */
export interface Standing {
  readonly limiter: string;
  /** The quota of a window, in whole numbers; it may be too large for a header. */
  readonly limit: number;
  readonly remaining: number;
  readonly windowSeconds: number;
  /** Until there is more quota, rounded up; undefined when waiting is of no use, or not needed. */
  readonly resetSeconds: number | undefined;
  readonly denied: boolean;
}

/** Header fields, names and values in turns. */
export type Fields = readonly string[];

/** Makes the fields of at least one standing. */
export type Serialiser = (standings: readonly Standing[]) => Fields;

/** The largest Integer of a structured field (RFC 9651, section 3.3.1). */
const MAX_INTEGER = 999_999_999_999_999;

const makers: Record<Exclude<HeaderForm, "none">, () => Serialiser> = {
  "draft-10": draft10,
  "draft-7": () => draft7,
  "draft-6": () => draft6,
  "x-ratelimit": () => xRateLimit,
};

/** @throws {TrypemaError} `INVALID_OPTION` */
export function serialiserOf(form: HeaderForm): Serialiser | undefined {
  if (form === "none") return undefined;
  if (Object.hasOwn(makers, form)) return makers[form]();
  const forms = [...Object.keys(makers), "none"].join(", ");
  throw new TrypemaError("INVALID_OPTION", `headers: got ${show(form)}, expected one of ${forms}`);
}

/** Lists of Strings with parameters: `"burst";q=100;w=60` and `"burst";r=50;t=30`, one item a limiter. */
function draft10(): Serialiser {
  // A policy rarely changes, so its text is made once.
  const policies = new Map<string, { limit: number; text: string }>();
  const policyOf = ({ limiter, limit, windowSeconds }: Standing): string => {
    const known = policies.get(limiter);
    if (known?.limit === limit) return known.text;
    const text = `"${limiter}";q=${integer(limit)};w=${integer(windowSeconds)}`;
    policies.set(limiter, { limit, text });
    return text;
  };
  return (standings) => {
    const first = standings[0]!;
    let policy = policyOf(first);
    let state = stateOf(first);
    for (let i = 1; i < standings.length; i++) {
      policy += `, ${policyOf(standings[i]!)}`;
      state += `, ${stateOf(standings[i]!)}`;
    }
    return ["ratelimit-policy", policy, "ratelimit", state];
  };
}

function stateOf({ limiter, remaining, resetSeconds }: Standing): string {
  const state = `"${limiter}";r=${integer(remaining)}`;
  return resetSeconds === undefined ? state : `${state};t=${integer(resetSeconds)}`;
}

/** A Dictionary of the tightest limiter, and a List of all policies. */
function draft7(standings: readonly Standing[]): Fields {
  const { limit, remaining, resetSeconds, windowSeconds } = tightest(standings);
  const reset = integer(resetSeconds ?? windowSeconds);
  const state = `limit=${integer(limit)}, remaining=${integer(remaining)}, reset=${reset}`;
  return ["ratelimit-policy", policiesOf(standings), "ratelimit", state];
}

/** A field for each number of the tightest limiter, and a List of all policies. */
function draft6(standings: readonly Standing[]): Fields {
  const { limit, remaining, resetSeconds, windowSeconds } = tightest(standings);
  return [
    "ratelimit-policy",
    policiesOf(standings),
    "ratelimit-limit",
    integer(limit),
    "ratelimit-remaining",
    integer(remaining),
    "ratelimit-reset",
    integer(resetSeconds ?? windowSeconds),
  ];
}

function xRateLimit(standings: readonly Standing[]): Fields {
  const { limit, remaining, resetSeconds, windowSeconds } = tightest(standings);
  const reset = Math.ceil(Date.now() / 1_000) + (resetSeconds ?? windowSeconds);
  return [
    "x-ratelimit-limit",
    integer(limit),
    "x-ratelimit-remaining",
    integer(remaining),
    "x-ratelimit-reset",
    integer(reset),
  ];
}

function policiesOf(standings: readonly Standing[]): string {
  return standings.map(({ limit, windowSeconds }) => `${integer(limit)};w=${integer(windowSeconds)}`).join(", ");
}

/** The limiter that denied, or else the one with the least left. */
function tightest(standings: readonly Standing[]): Standing {
  return standings.reduce((tight, standing) => {
    if (tight.denied) return tight;
    return standing.denied || standing.remaining < tight.remaining ? standing : tight;
  });
}

function integer(value: number): string {
  return String(Math.min(value, MAX_INTEGER));
}
