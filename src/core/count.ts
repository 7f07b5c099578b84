import { show, TrypemaError } from "./errors.ts";

/** @throws {TrypemaError} `INVALID_COUNT` unless a safe integer from `least` up */
export function checkCount(name: string, count: number, least: number): void {
  if (Number.isSafeInteger(count) && count >= least) return;
  const accepted = least === 1 ? "a positive integer" : least === 0 ? "0 or a positive integer" : "an integer";
  throw new TrypemaError("INVALID_COUNT", `${name}: got ${show(count)}, expected ${accepted} up to 2^53 - 1`);
}
