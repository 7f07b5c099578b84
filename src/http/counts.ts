// Where a limiter counts, how much it allows there, and how the provider is asked about one request.

import { show, TrypemaError } from "../core/errors.ts";
import { type Ask, type Family, familyOf, type Window } from "../core/family.ts";
import { shortHashOf } from "../core/hash.ts";
import type { Rate } from "../core/rate.ts";
import type { Awaitable, Decision, Limiter, Provider } from "../core/types.ts";
import { type LimitOverride, rateFrom, resolveFields } from "../limits/definition.ts";
import { decideBlocked } from "../strategy/block.ts";
import { capacityOf } from "../strategy/capacity.ts";
import { chain } from "./awaitable.ts";
import type { LimiterDefinition, WindowDefinition } from "./definition.ts";

/** Where a limiter counts. */
export interface Counts {
  /** The limiter of the provider that has the counts. */
  readonly limiter: Limiter;
  /** The family of the provider; undefined for a provider that isn't made by this package. */
  readonly family: Family | undefined;
  /** What the stored keys begin with, where limiters of several names have the same `limiter`. */
  readonly keyPrefix: string;
  readonly strategy: "absolute" | "suppressed";
  readonly windowMs: number;
  readonly bucketMs: number;
  /** 0 for no block. */
  readonly blockMs: number;
}

/** What says where a limiter counts. */
type CountsDefinition<Raw> = Pick<WindowDefinition<Raw>, "name" | "scope" | "strategy" | "bucketMs" | "blockMs"> & {
  readonly windowMs?: number | undefined;
};

/** @throws {TrypemaError} `INVALID_OPTION` */
export function countsOf<Raw>(definition: CountsDefinition<Raw>, provider: Provider): Counts {
  const { strategy, windowMs, bucketMs, blockMs } = definition;
  const name = fullNameOf(definition);
  const family = familyOf(provider);
  const inherited: Partial<Window> = family?.windowOf(provider) ?? {};
  const given = {
    strategy,
    blockMs,
    windowMs: windowMs ?? provider.windowMs,
    bucketMs: windowMs === undefined ? (bucketMs ?? inherited.bucketMs) : bucketMs,
  };
  const fields = resolveFields(name, given, family?.hardLimitFactor ?? 1);
  const keyPrefix = keyPrefixOf(definition, provider);
  if (family !== undefined) return { ...fields, family, limiter: family.limiter(fields), keyPrefix };
  const hasOwnWindow = windowMs !== undefined || bucketMs !== undefined;
  const limiter = (hasOwnWindow ? withWindow(provider, fields) : provider)[fields.strategy];
  if (fields.blockMs > 0 && typeof limiter.block !== "function") {
    throw new TrypemaError("INVALID_OPTION", `${name}.blockMs: this provider has no method block`);
  }
  return { ...fields, family, limiter, keyPrefix };
}

/** The longest prefix that leaves room for a stored key without one, which has at most 180 of the 255 bytes. */
const LONGEST_PREFIX = 75;

/**
 * What the stored keys of a limiter begin with: its name, where the limiters of all names have the same counts. A scope
 * that is too long is there as its hash, because with the keys of some clients the whole would be longer than a key
 * may be.
 */
export function keyPrefixOf(definition: Named, provider: Provider): string {
  if (familyOf(provider) !== undefined) return "";
  const { scope } = definition;
  const prefix = `${fullNameOf(definition)}:`;
  if (scope === undefined || prefix.length <= LONGEST_PREFIX) return prefix;
  return `${fullNameOf({ ...definition, scope: shortHashOf(scope) })}:`;
}

type Named = Pick<LimiterDefinition, "name" | "scope">;

/** No name has an @ in it, so no name and scope together are the name of another limiter. */
function fullNameOf({ name = "default", scope }: Named): string {
  return scope === undefined ? name : `${name}@${scope}`;
}

/**
 * Checks what can be checked of a definition whose window is a function of the request.
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`
 */
export function checkUnwindowed<Raw>(definition: LimiterDefinition<Raw>, provider: Provider): void {
  // No rate is too low and no bucket is too long for the longest window.
  const windowMs = Number.MAX_SAFE_INTEGER;
  const { name = "default", strategy, bucketMs, blockMs } = definition;
  resolveFields(name, { strategy, bucketMs, blockMs, windowMs }, 1);
  commonRateOf({ ...definition, windowMs } as WindowDefinition<Raw>, windowMs);
  if (typeof provider.withWindow !== "function") {
    throw new TrypemaError("INVALID_OPTION", "windowMs: got a function, but this provider has no withWindow");
  }
}

/**
 * @throws {TrypemaError} `INVALID_OPTION` for something that isn't a provider
 */
export function checkProvider(option: string, provider: unknown): asserts provider is Provider {
  const { absolute, suppressed, windowMs } = (provider ?? {}) as Partial<Provider>;
  if (typeof windowMs === "number" && typeof absolute?.inc === "function" && typeof suppressed?.inc === "function") {
    return;
  }
  const { then, evalsha, sendCommand } = Object(provider);
  const advice = then ? "; await it" : evalsha || sendCommand ? "; make one: createRedisProvider(client)" : "";
  throw new TrypemaError("INVALID_OPTION", `${option}: got ${show(provider)}, expected a provider${advice}`);
}

function withWindow(provider: Provider, { windowMs, bucketMs }: Window): Provider {
  if (typeof provider.withWindow === "function") return provider.withWindow({ windowMs, bucketMs });
  throw new TrypemaError("INVALID_OPTION", `windowMs: got ${show(windowMs)}, but this provider has no withWindow`);
}

/**
 * The rate where all requests have the same; undefined where a function says it.
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
 */
export function commonRateOf<Raw>(definition: WindowDefinition<Raw>, windowMs: number): Rate | "none" | undefined {
  const { name = "default", rate, limit } = definition;
  const isOneOfThem = (rate === undefined) !== (limit === undefined);
  const given = rate ?? limit;
  if (isOneOfThem) {
    if (given === "none") return "none";
    if (typeof given === "function") return undefined;
    if (limit !== undefined) checkLimit(`${name}.limit: got`, limit);
  }
  return rateFrom(name, { rate, limit } as LimitOverride, windowMs);
}

/**
 * The rate that a function of the definition gave a request.
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE`
 */
export function rateOfRequest<Raw>(
  { name = "default", limit }: Pick<WindowDefinition<Raw>, "name" | "limit">,
  given: number | "none",
  windowMs: number,
): Rate | "none" {
  if (given === "none") return "none";
  if (limit !== undefined) {
    checkLimit(`${name}.limit: its function returned`, given);
    return rateFrom(name, given, windowMs);
  }
  if (typeof given !== "number" || !(given > 0)) {
    throw new TrypemaError(
      "INVALID_RATE",
      `${name}.rate: its function returned ${show(given)}, expected a rate, such as perMinute(60), ${OR_NONE}`,
    );
  }
  capacityOf(given as Rate, windowMs);
  return given as Rate;
}

const OR_NONE = 'or "none" to admit nobody';

/** Unlike a limit of `createLimits`, one of a limiter may be "none". */
function checkLimit(got: string, limit: unknown): void {
  if (Number.isSafeInteger(limit) && (limit as number) >= 1) return;
  throw new TrypemaError("INVALID_OPTION", `${got} ${show(limit)}, expected a positive integer, ${OR_NONE}`);
}

/** Asks about one request, and counts it if it is admitted. */
export function askOne(ask: Ask, { family, windowMs }: Counts): Awaitable<Decision> {
  const { limiter, key, rate, count, blockMs } = ask;
  if (blockMs === 0) return limiter.inc(key, rate, count);
  if (family !== undefined) return chain(family.take([ask]), ({ decisions }) => decisions[0]!);
  return chain(limiter.inc(key, rate, count), (decision) =>
    decision.outcome !== "rejected" || decision.blocked || decision.degraded
      ? decision
      : blockAfter(decision, ask, windowMs),
  );
}

/** Blocks the key of a call that was denied. Should that fail, the call stays denied, and the next one tries again. */
async function blockAfter(
  decision: Decision,
  { limiter, key, count, blockMs }: Ask,
  windowMs: number,
): Promise<Decision> {
  try {
    await limiter.block(key, blockMs);
  } catch {
    return decision;
  }
  const { limit, remaining, moreAfterMs } = decision;
  const window = { used: limit - remaining, oldestExpiresInMs: moreAfterMs };
  return decideBlocked(window, { limit, most: limit, windowMs }, count, blockMs);
}
