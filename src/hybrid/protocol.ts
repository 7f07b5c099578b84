// What a process tells Redis of a key, and what Redis says to it.

import type { Rate } from "../core/rate.ts";
import { text } from "../redis/limiter.ts";
import { fieldsFrom, isShare, isTotal, isWait, isWhole, isWithin, misfit } from "../redis/reply.ts";
import type { HitCell } from "./outbox.ts";

/** A report about one key: hits that Redis doesn't know of yet, and what the process has and wants. */
export interface Report {
  /** Higher than those of all reports before. The next number belongs to what Redis counts for waiting calls. */
  readonly number: number;
  readonly rate: Rate;
  /** Whether the rate may be news to Redis; otherwise the key keeps a rate that others have given it since. */
  readonly rateIsNew: boolean;
  readonly limit: number;
  /** How much of its lease the process keeps, and of its capacity for hits that this report holds back. */
  readonly held: number;
  /** The count of the first call that waits; 0 for none. */
  readonly asked: number;
  /** The counts of all calls that wait and are asked for, together. */
  readonly needed: number;
  /** How much more lease the process would like. */
  readonly wanted: number;
  readonly hits: readonly HitCell[];
  readonly sentMs: number;
  /** Until when what it holds may be spent. */
  readonly leaseExpiryMs: number;
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

/** What Redis says in answer to a report. Times are from then on. */
export type Answer = Readonly<Record<(typeof ANSWER_FIELDS)[number], number>> & { readonly freed: number };

/** What all reports of a limiter have in common. */
export interface Sender {
  readonly process: string;
  readonly windowMs: number;
  readonly bucketMs: number;
  readonly leaseMs: number;
  /** Whether the caller's clock is to be used instead of the server's. */
  readonly isClockSent: boolean;
}

/** What a strategy adds: how Redis computes the factor. Absolute has none. */
export interface FactorArguments {
  readonly suppressionCacheMs: number | "";
  readonly hardLimit: number | "";
}

export function argumentsOf(
  report: Report,
  sender: Sender,
  { suppressionCacheMs, hardLimit }: FactorArguments,
): string[] {
  const { number, rate, rateIsNew, limit, held, asked, needed, wanted, hits, sentMs } = report;
  const args = [
    ...[sender.windowMs, sender.bucketMs, rateIsNew ? rate : -rate, limit].map(text),
    sender.process,
    ...[sender.leaseMs, held, asked, needed, wanted].map(text),
    ...[suppressionCacheMs, hardLimit].map((value) => (value === "" ? "" : text(value))),
    ...[number, hits.length].map(text),
  ];
  for (const hit of hits) args.push(...[hit.report, sentMs - hit.hitMs, hit.count, hit.declined].map(text));
  if (sender.isClockSent) args.push(text(sentMs));
  return args;
}

/** @throws {TrypemaError} `BACKEND_SCRIPT` for a reply that is none to `report` */
export function answerFrom(reply: unknown, report: Report, windowMs: number): Answer {
  const answer = fieldsFrom(reply, ANSWER_FIELDS);
  if (!isAnswerTo(report, answer, windowMs)) throw misfit(reply);
  const used = answer.total - answer.declined + answer.leasedByOthers;
  return { ...answer, freed: answer.freeAfterWaiting - report.limit + used };
}

function isAnswerTo(report: Report, answer: Omit<Answer, "freed">, windowMs: number): boolean {
  const { counted, granted, total, declined, leasedByOthers, firstAccepted, secondAccepted } = answer;
  const accepted = total - declined;
  const given = counted + granted;
  const taken = accepted + leasedByOthers + report.held;
  return (
    (counted === 0 || counted === report.needed) &&
    isWithin(granted, report.needed + Math.max(0, report.wanted)) &&
    isTotal(total) &&
    isWithin(declined, total) &&
    isWhole(leasedByOthers) &&
    // Redis gives what is free to the calls that wait, and it gives nothing else.
    (given > 0 ? isWithin(taken + granted, report.limit) : taken + report.asked > report.limit || report.asked === 0) &&
    isWithin(answer.buckets, 3) &&
    isExpiry(answer.firstExpiresInMs, windowMs) &&
    isWithin(firstAccepted, accepted) &&
    isExpiry(answer.secondExpiresInMs, windowMs) &&
    isWithin(secondAccepted, accepted) &&
    isWait(answer.waitMs) &&
    isWhole(answer.freeAfterWaiting) &&
    isShare(answer.factor) &&
    isExpiry(answer.factorLeftMs, Number.MAX_VALUE)
  );
}

/** Long ago for a bucket that isn't there. Times of day have some thousandths of a millisecond. */
function isExpiry(ms: number, longestMs: number): boolean {
  return ms > Number.NEGATIVE_INFINITY && ms <= longestMs + 1;
}
