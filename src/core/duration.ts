// Lengths of time in milliseconds, by the names that people use.

import { show, TrypemaError } from "./errors.ts";

/**
 * `count` seconds in milliseconds.
 *
 * @param count a positive finite number; fractions are fine
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function seconds(count: number): number {
  return inMs("seconds", count, 1_000);
}

/**
 * `count` minutes in milliseconds.
 *
 * @param count a positive finite number; fractions are fine
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function minutes(count: number): number {
  return inMs("minutes", count, 60_000);
}

/**
 * `count` hours in milliseconds.
 *
 * @param count a positive finite number; fractions are fine
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function hours(count: number): number {
  return inMs("hours", count, 3_600_000);
}

/**
 * `count` days of 24 hours in milliseconds.
 *
 * @param count a positive finite number; fractions are fine
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function days(count: number): number {
  return inMs("days", count, 86_400_000);
}

function inMs(unit: string, count: number, unitMs: number): number {
  const ms = typeof count === "number" ? count * unitMs : Number.NaN;
  if (ms > 0 && ms < Number.POSITIVE_INFINITY) return ms;
  throw new TrypemaError("INVALID_OPTION", `${unit}(${show(count)}): expected a positive finite number`);
}
