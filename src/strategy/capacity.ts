// How many requests a rate lets into one window. Every provider takes its limits from here, Redis
// as script arguments, so that they cannot disagree.

import { TrypemaError } from "../core/errors.ts";
import { checkRate, type Rate } from "../core/rate.ts";

/**
 * The capacity: floor(rate × windowMs / 1000). Infinity for `unlimited()`.
 *
 * @throws {TrypemaError} `INVALID_RATE`; `CAPACITY_BELOW_ONE` when the window holds less than one
 *   request, so that nothing could ever be admitted
 */
export function capacityOf(rate: Rate, windowMs: number): number {
  checkRate(rate);
  const capacity = capacityIn(rate, windowMs);
  if (capacity >= 1) return capacity;
  // Nobody wrote a rate of many digits: perDay(1_000) is 0.0115… per second. So it is told in the shortest span in
  // which it is a whole number, if there is one.
  const [span, spanMs = 1_000] =
    Object.entries(SPANS_MS).find(([, ms]) => isWhole(capacityIn(rate, ms), rate * (ms / 1_000))) ?? [];
  const count = span === undefined ? rate : capacityIn(rate, spanMs);
  throw new TrypemaError(
    "CAPACITY_BELOW_ONE",
    `rate ${count} per ${span ?? "second"}: a window of ${windowMs} ms holds less than one request; ` +
      `raise the rate, or windowMs to at least ${Math.ceil(1_000 / rate)}` +
      (span && count > 1 ? `; for ${count} in any ${span} set windowMs to ${spanMs}` : ""),
  );
}

/** What a rate may have been made of: `perDay(1_000)` is a thousand in a day. */
const SPANS_MS = { second: 1_000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 };

function isWhole(count: number, value: number): boolean {
  return count >= 1 && Math.abs(value - count) < 1e-6;
}

/** The same where it may be below 1, for a rate that isn't known to be one. */
export function capacityIn(rate: number, windowMs: number): number {
  return floorForgiving(rate * (windowMs / 1_000));
}

/** The ceiling on accepted usage under suppression: floor(rate × windowMs / 1000 × hardLimitFactor). */
export function hardLimitOf(rate: Rate, windowMs: number, hardLimitFactor: number): number {
  return floorForgiving(rate * (windowMs / 1_000) * hardLimitFactor);
}

/**
 * floor, but a value that floating point left a hair under a whole number is that number: 6 per
 * minute is 0.1 per second, and such a rate must not give 5. The hair is some roundings wide (2⁻⁵³ of
 * the value each), thousands where that is far less than anyone could mean, and never more than half a
 * request. From 2⁵² on there are only whole numbers. `lua/lib/capacity.lua` does the same.
 */
function floorForgiving(value: number): number {
  if (value >= 2 ** 52) return value;
  return Math.floor(value + Math.min(value * 1e-12, Math.max(1e-3, value * 2 ** -51), 0.5));
}
