// Times as logs write them.

/** `10/Oct/2000:13:55:36 -0700`, with or without a fraction of a second. */
const OF_COMMON_LOG = /^(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2})(\.\d+)? ?([+-]\d{2}):?(\d{2})$/;
/** RFC 3339 and what looks like it. Without a zone it is taken as UTC. */
const ISO = /^(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2}):(\d{2})([.,]\d+)? ?(?:Z|UTC|([+-]\d{2}):?(\d{2}))?$/;
const NUMBER = /^\d{1,20}(\.\d+)?$/;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** The last time that a Date can be. */
const LAST_MS = 8.64e15;

/** The time that a value of JSON, or a text, stands for, in ms; NaN where it is no time. */
export function timeOf(value: unknown): number {
  if (typeof value === "number") return ofNumber(value);
  return typeof value === "string" ? ofText(value) : Number.NaN;
}

function ofText(text: string): number {
  const iso = ISO.exec(text);
  if (iso !== null) {
    const [, year, month, day, hour, minute, second, fraction, zoneHours, zoneMinutes] = iso;
    return utc([year, Number(month) - 1, day, hour, minute, second], fraction) - zoneMs(zoneHours, zoneMinutes);
  }
  const common = OF_COMMON_LOG.exec(text);
  if (common !== null) {
    const [, day, month, year, hour, minute, second, fraction, zoneHours, zoneMinutes] = common;
    const parts = [year, MONTHS.indexOf(month!), day, hour, minute, second];
    return utc(parts, fraction) - zoneMs(zoneHours, zoneMinutes);
  }
  return NUMBER.test(text) ? ofNumber(Number(text)) : Number.NaN;
}

/** Seconds, ms, µs or ns since 1970: which of them is clear by the size, for all times from 1973 to 5138. */
function ofNumber(number: number): number {
  if (!(number > 0)) return Number.NaN;
  if (number < 1e11) return number * 1e3;
  if (number < 1e14) return number;
  const ms = number < 1e17 ? number / 1e3 : number / 1e6;
  return ms <= LAST_MS ? ms : Number.NaN;
}

/** NaN where a part is out of its range: the 31st of April is no time. */
function utc(parts: readonly (string | number | undefined)[], fraction: string | undefined): number {
  const [year, month, day, hour, minute, second] = parts.map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const fractionMs = fraction === undefined ? 0 : Number(`0.${fraction.slice(1)}`) * 1e3;
  // The 60th second is a leap second.
  if (hour > 23 || minute > 59 || second > 60) return Number.NaN;
  const midnightMs = Date.UTC(year, month, day);
  const date = new Date(midnightMs);
  if (date.getUTCMonth() !== month || date.getUTCDate() !== day || year < 1_970) return Number.NaN;
  return midnightMs + ((hour * 60 + minute) * 60 + second) * 1e3 + fractionMs;
}

/** NaN for a zone that is further from UTC than any has been. */
function zoneMs(hours: string | undefined, minutes: string | undefined): number {
  if (hours === undefined) return 0;
  if (Math.abs(Number(hours)) > 15 || Number(minutes) > 59) return Number.NaN;
  const sign = hours.startsWith("-") ? -1 : 1;
  return (Number(hours) * 60 + sign * Number(minutes)) * 60_000;
}
