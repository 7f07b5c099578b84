// Numbers as people write them on a command line: lengths of time (90s, 15min), rates (100/min) and others.

import { perDay, perHour, perMinute, perSecond, perWeek, type Rate, unlimited } from "../core/rate.ts";
import { UsageError } from "./command.ts";
import { printable } from "./text.ts";

const UNITS_MS: Readonly<Record<string, number>> = {
  ...{ ms: 1, s: 1_000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 },
};
const MAKERS: Readonly<Record<string, (count: number) => Rate>> = {
  ...{ s: perSecond, min: perMinute, m: perMinute, h: perHour, d: perDay, w: perWeek },
};

/** @throws {UsageError} */
export function durationFrom(what: string, text: string): number {
  const [, number, unit = ""] = /^(\d{1,15}(?:\.\d{1,6})?) ?([a-z]+)$/.exec(text) ?? [];
  const product = Number(number) * (Object.hasOwn(UNITS_MS, unit) ? UNITS_MS[unit]! : Number.NaN);
  // 16.1 * 1000 is 16100.000000000002, and the name of a limit's Redis keys has all of these digits.
  const ms = Math.round(product * 1_000) / 1_000;
  if (ms >= 1 && ms <= Number.MAX_SAFE_INTEGER) return ms;
  throw new UsageError(`${what} ${printable(text)}: expected a length of time, such as 90s, 15min, 1h or 2d`);
}

/** @throws {UsageError} */
export function factorFrom(what: string, text: unknown): number {
  const factor = /^\d{1,15}(\.\d{1,6})?$/.test(String(text)) ? Number(text) : Number.NaN;
  if (factor >= 1) return factor;
  throw new UsageError(`${what} ${printable(String(text))}: expected a number of at least 1, such as 1.5`);
}

/** @throws {UsageError} */
export function rateFrom(text: string): Rate {
  if (text === "unlimited") return unlimited();
  const [, number, unit = ""] = /^(\d{1,15}(?:\.\d{1,6})?) ?\/ ?([a-z]+)$/.exec(text) ?? [];
  if (Number(number) > 0 && Object.hasOwn(MAKERS, unit)) return MAKERS[unit]!(Number(number));
  throw new UsageError(`${printable(text)} is no rate: expected such as 100/min, 5/s, 1000/h, 20000/d, or unlimited`);
}

/** How many bits of an IPv6 address make a client. @throws {UsageError} */
export function bitsFrom(what: string, text: string): number {
  const bits = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (bits >= 1 && bits <= 128) return bits;
  throw new UsageError(`${what} ${printable(text)}: expected a whole number from 1 to 128`);
}
