// The header fields that tell a client how much of its limits is left. Each form is a function of its own, because the
// drafts differ in more than names, and none is a standard yet. Names are in lower case, as HTTP/2 and half of the
// frameworks send them.

import { show, TrypemaError } from "../core/errors.ts";

/**
 * `"draft-10"`, `"draft-7"` and `"draft-6"` are the forms of draft-ietf-httpapi-ratelimit-headers; `"x-ratelimit"` is
 * `X-RateLimit-Limit`, `-Remaining` and `-Reset`, whose reset is in seconds since 1970.
 */
export type HeaderForm = "draft-10" | "draft-7" | "draft-6" | "x-ratelimit" | "none";

/** What a client is told about one limiter: the draft's service limit. */
export interface ServiceLimit {
  readonly limiter: string;
  /** The quota of a window, in whole numbers; it may be too large for a header. */
  readonly limit: number;
  readonly remaining: number;
  readonly windowSeconds: number;
  /** Seconds until there is more quota, rounded up; undefined when waiting is of no use, or not needed. */
  readonly resetSeconds: number | undefined;
  readonly denied: boolean;
  /** Whether the client is told the limit only, and not how much of it is left. */
  readonly hidesRemaining: boolean;
}

/** Header fields: a name, its value, the next name, and so on. */
export type Fields = readonly string[];

/** Makes the fields of at least one service limit. */
export type Serialiser = (limits: readonly ServiceLimit[]) => Fields;

/**
 * Lists the fields that a browser shows to scripts of other origins. A guard adds to this field, and sets all others.
 */
export const EXPOSED_FIELDS = "access-control-expose-headers";

/** The rate limit fields of each form. */
const fieldNames: Record<HeaderForm, readonly string[]> = {
  "draft-10": ["ratelimit-policy", "ratelimit"],
  "draft-7": ["ratelimit-policy", "ratelimit"],
  "draft-6": ["ratelimit-policy", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
  "x-ratelimit": ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
  none: [],
};

/** The fields that say how much was used. The others say only what the limit is. */
const USAGE: ReadonlySet<string> = new Set(
  Object.values(fieldNames)
    .flat()
    .filter((name) => !/-(policy|limit)$/.test(name)),
);

/** The form or the forms of the fields, and whether they say how much is left. */
export interface HeaderOptions {
  readonly headers: HeaderForm | readonly HeaderForm[];
  readonly hideRemaining: boolean;
}

/** The field that exposes the rate limit fields and `Retry-After`. */
export function exposureOf({ headers, hideRemaining }: HeaderOptions): Fields {
  const names = [headers]
    .flat()
    .flatMap((form) => fieldNames[form])
    .filter((name) => !(hideRemaining && USAGE.has(name)));
  return [EXPOSED_FIELDS, [...names, "retry-after"].join(", ")];
}

/** The value to set a field to. For the list of exposed fields that is what `response` has, and then `value`. */
export function fieldValue(name: string, value: string, response: { getHeader(name: string): unknown }): string {
  return name === EXPOSED_FIELDS ? addNames(response.getHeader(name), value) : value;
}

/** A list of names with those of `added` that it doesn't have yet. */
export function addNames(list: unknown, added: string): string {
  const names = String(list ?? "")
    .split(",")
    .map((name) => name.trim());
  const known = new Set(names.map((name) => name.toLowerCase()));
  return [...names, ...added.split(", ").filter((name) => !known.has(name))].filter((name) => name !== "").join(", ");
}

/** The largest Integer of a structured field (RFC 9651, section 3.3.1). */
const MAX_INTEGER = 999_999_999_999_999;

const makers: Record<Exclude<HeaderForm, "none">, () => Serialiser> = {
  "draft-10": draft10,
  "draft-7": () => draft7,
  "draft-6": () => draft6,
  "x-ratelimit": () => xRateLimit,
};

/**
 * The maker of the fields; undefined for none.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function serialiserOf(headers: HeaderOptions["headers"]): Serialiser | undefined {
  if (headers === "none") return undefined;
  const forms = checkedForms(Array.isArray(headers) ? headers : [headers]);
  const serialisers = forms.map((form) => makers[form]());
  const only = serialisers[0]!;
  const all: Serialiser =
    serialisers.length === 1 ? only : (limits) => serialisers.flatMap((serialise) => serialise(limits));
  return (limits) => (limits.some(showsRemaining) ? all(limits) : withoutUsage(all(limits)));
}

/** @throws {TrypemaError} `INVALID_OPTION` unless they are at least one form, and no two of them have the same field */
function checkedForms(forms: readonly HeaderForm[]): readonly Exclude<HeaderForm, "none">[] {
  const formsOfFields = new Map<string, HeaderForm>();
  const check = (form: HeaderForm): form is Exclude<HeaderForm, "none"> => {
    if (!Object.hasOwn(makers, form)) {
      const known = `${Object.keys(makers).join(", ")} or a list of these, or none`;
      throw new TrypemaError("INVALID_OPTION", `headers: got ${show(form)}, expected one of ${known}`);
    }
    for (const field of fieldNames[form]) {
      const other = formsOfFields.get(field);
      if (other !== undefined) {
        const both = `${show(other)} and ${show(form)}`;
        throw new TrypemaError(
          "INVALID_OPTION",
          `headers: got ${both}, which both have the field ${field}; choose one`,
        );
      }
      formsOfFields.set(field, form);
    }
    return true;
  };
  if (forms.length > 0) return forms.filter(check);
  throw new TrypemaError("INVALID_OPTION", 'headers: got an empty array, expected forms; for no fields give "none"');
}

function showsRemaining({ hidesRemaining }: ServiceLimit): boolean {
  return !hidesRemaining;
}

function withoutUsage(fields: Fields): Fields {
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) if (!USAGE.has(fields[i]!)) kept.push(fields[i]!, fields[i + 1]!);
  return kept;
}

/** The parts of a limiter's items that rarely change. */
interface Item {
  readonly limit: number;
  readonly windowSeconds: number;
  readonly policy: string;
  readonly beforeRemaining: string;
  readonly afterRemaining: string;
}

/** Lists of Strings with parameters: `"burst";q=100;w=60` and `"burst";r=50;t=30`, one item a limiter. */
function draft10(): Serialiser {
  const items = new Map<string, Item>();
  const itemOf = ({ limiter, limit, windowSeconds }: ServiceLimit): Item => {
    const known = items.get(limiter);
    if (known?.limit === limit && known.windowSeconds === windowSeconds) return known;
    const window = integer(windowSeconds);
    const policy = `"${limiter}";q=${integer(limit)};w=${window}`;
    const item = { limit, windowSeconds, policy, beforeRemaining: `"${limiter}";r=`, afterRemaining: `;t=${window}` };
    items.set(limiter, item);
    return item;
  };
  return (limits) => {
    let policy = "";
    let state = "";
    for (const serviceLimit of limits) {
      const item = itemOf(serviceLimit);
      policy = policy === "" ? item.policy : `${policy}, ${item.policy}`;
      if (serviceLimit.hidesRemaining) continue;
      state = state === "" ? stateOf(serviceLimit, item) : `${state}, ${stateOf(serviceLimit, item)}`;
    }
    return ["ratelimit-policy", policy, "ratelimit", state];
  };
}

function stateOf({ remaining, resetSeconds, windowSeconds }: ServiceLimit, item: Item): string {
  const state = item.beforeRemaining + integer(remaining);
  if (resetSeconds === undefined) return state;
  return state + (resetSeconds === windowSeconds ? item.afterRemaining : `;t=${integer(resetSeconds)}`);
}

/** A Dictionary of the tightest limiter, and a List of all policies. */
function draft7(limits: readonly ServiceLimit[]): Fields {
  const { limit, remaining, resetSeconds, windowSeconds } = tightest(limits);
  const reset = integer(resetSeconds ?? windowSeconds);
  const state = `limit=${integer(limit)}, remaining=${integer(remaining)}, reset=${reset}`;
  return ["ratelimit-policy", policiesOf(limits), "ratelimit", state];
}

/** A field for each number of the tightest limiter, and a List of all policies. */
function draft6(limits: readonly ServiceLimit[]): Fields {
  const { limit, remaining, resetSeconds, windowSeconds } = tightest(limits);
  return [
    "ratelimit-policy",
    policiesOf(limits),
    "ratelimit-limit",
    integer(limit),
    "ratelimit-remaining",
    integer(remaining),
    "ratelimit-reset",
    integer(resetSeconds ?? windowSeconds),
  ];
}

function xRateLimit(limits: readonly ServiceLimit[]): Fields {
  const { limit, remaining, resetSeconds, windowSeconds } = tightest(limits);
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

function policiesOf(limits: readonly ServiceLimit[]): string {
  return limits.map(({ limit, windowSeconds }) => `${integer(limit)};w=${integer(windowSeconds)}`).join(", ");
}

/** The limiter that denied, or else the one with the least left; of those that show it, if there are any. */
function tightest(limits: readonly ServiceLimit[]): ServiceLimit {
  const shown = limits.filter(showsRemaining);
  return (shown.length > 0 ? shown : limits).reduce((tight, serviceLimit) => {
    if (tight.denied) return tight;
    return serviceLimit.denied || serviceLimit.remaining < tight.remaining ? serviceLimit : tight;
  });
}

function integer(value: number): string {
  return value < MAX_INTEGER ? `${value}` : `${MAX_INTEGER}`;
}
