import { show, TrypemaError } from "./errors.ts";

/**
 * A rate in requests per second; fractions are allowed. Made by {@link perSecond}, {@link perMinute}, {@link perHour},
 * {@link perDay}, {@link perWeek} or {@link unlimited}, so that a plain number, which has no visible unit, doesn't
 * compile.
 */
export type Rate = number & { readonly unit: "requests per second" };

/**
 * `count` requests per second.
 *
 * @param count a positive finite number; fractions are allowed: `perSecond(0.5)` is one in two seconds
 * @throws {TrypemaError} `INVALID_RATE`
 */
export function perSecond(count: number): Rate {
  return rateOver("perSecond", count, 1);
}

/**
 * `count` requests per minute.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_RATE`
 */
export function perMinute(count: number): Rate {
  return rateOver("perMinute", count, 60);
}

/**
 * `count` requests per hour.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_RATE`
 */
export function perHour(count: number): Rate {
  return rateOver("perHour", count, 3_600);
}

/**
 * `count` requests per day.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_RATE`
 */
export function perDay(count: number): Rate {
  return rateOver("perDay", count, 86_400);
}

/**
 * `count` requests per week.
 *
 * @param count a positive finite number; fractions are allowed
 * @throws {TrypemaError} `INVALID_RATE`
 */
export function perWeek(count: number): Rate {
  return rateOver("perWeek", count, 604_800);
}

/** No limit: calls are counted and always allowed. */
export function unlimited(): Rate {
  return Number.POSITIVE_INFINITY as Rate;
}

function rateOver(maker: string, count: number, seconds: number): Rate {
  const rate = typeof count === "number" ? count / seconds : Number.NaN;
  if (rate > 0 && rate < Number.POSITIVE_INFINITY) return rate as Rate;
  throw new TrypemaError(
    "INVALID_RATE",
    `${maker}(${show(count)}): the count must be a positive finite number; for no limit use unlimited()`,
  );
}

/** @throws {TrypemaError} `INVALID_RATE` unless `rate` is a positive number (Infinity: unlimited) */
export function checkRate(rate: Rate): void {
  if (typeof rate === "number" && rate > 0) return;
  throw new TrypemaError(
    "INVALID_RATE",
    `rate: got ${show(rate)}; ` +
      "make one with perSecond(n), perMinute(n), perHour(n), perDay(n), perWeek(n) or unlimited()",
  );
}
