// What a process tells Redis of a key, and what Redis says to it.

import type { Rate } from "../core/rate.ts";
import { fieldsFrom, isShare, isTotal, isWait, isWhole, isWithin, misfit } from "../redis/reply.ts";

/** What Redis was told, and asked for. */
export interface Report {
  readonly number: number;
  readonly rate: Rate;
  readonly limit: number;
  /** The count of the first call that waited; 0 for none. */
  readonly asked: number;
  /** The counts of all calls that waited and are asked for, together. */
  readonly needed: number;
  /** The most that may be granted. */
  readonly wanted: number;
  /** How much of its lease the process keeps. */
  readonly held: number;
  /** Until when what it holds may be spent. */
  readonly leaseUntilMs: number;
}

const ANSWER_FIELDS = [
  "counted",
  "granted",
  "total",
  "declined",
  "leasedByOthers",
  "buckets",
  "firstExpiresInMs",
  "firstAccepted",
  "secondExpiresInMs",
  "secondAccepted",
  "waitMs",
  "freeAfterWaiting",
  "factor",
  "factorLeftMs",
] as const;

/** What Redis says in answer to a report, in the order of `sync.lua`. Times are from then on. */
export type Answer = Readonly<Record<(typeof ANSWER_FIELDS)[number], number>>;

/** @throws {TrypemaError} `BACKEND_SCRIPT` for a reply that is none to `report` */
export function answerFrom(reply: unknown, report: Report, windowMs: number): Answer {
  const answer = fieldsFrom(reply, ANSWER_FIELDS);
  const { counted, granted, total, declined, leasedByOthers, firstAccepted, secondAccepted } = answer;
  const accepted = total - declined;
  const given = counted + granted;
  const taken = accepted + leasedByOthers + report.held;
  const isSound =
    (counted === 0 || counted === report.needed) &&
    isWithin(granted, report.wanted) &&
    isTotal(total) &&
    isWithin(declined, total) &&
    isWhole(leasedByOthers) &&
    // What is free is given to those who wait, and nothing else.
    (given > 0 ? isWithin(taken + granted, report.limit) : taken + report.asked > report.limit || report.asked === 0) &&
    isWithin(answer.buckets, 3) &&
    isExpiry(answer.firstExpiresInMs, windowMs) &&
    isWithin(firstAccepted, accepted) &&
    isExpiry(answer.secondExpiresInMs, windowMs) &&
    isWithin(secondAccepted, accepted) &&
    isWait(answer.waitMs) &&
    isWhole(answer.freeAfterWaiting) &&
    isShare(answer.factor) &&
    isExpiry(answer.factorLeftMs, Number.MAX_VALUE);
  if (isSound) return answer;
  throw misfit(reply);
}

/** Long ago for what isn't there. Times of day have some thousandths of a millisecond. */
function isExpiry(ms: number, longestMs: number): boolean {
  return ms > Number.NEGATIVE_INFINITY && ms <= longestMs + 1;
}
