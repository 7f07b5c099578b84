// What a process tells Redis of a key, and what Redis says to it.

import type { Rate } from "../core/rate.ts";
import { argumentsOf, fieldsOf, luaNumber } from "../redis/commands.ts";
import { SYNC, type SyncArguments, type SyncReply } from "../redis/lua.generated.ts";
import { isShare, isTotal, isWait, isWhole, isWithin, misfit } from "../redis/reply.ts";
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
  /** Suppressed: how much of its headroom the process keeps. */
  readonly heldHeadroom: number;
  /** The count of the first call that waits; 0 for none. */
  readonly asked: number;
  /** The counts of all calls that wait and are asked for, together. */
  readonly needed: number;
  /** Whether calls are asked for, and all of them have the count of the first. */
  readonly isAlike: boolean;
  /** How much more lease the process would like. */
  readonly wanted: number;
  /** Suppressed: how much more headroom it would like. */
  readonly wantedHeadroom: number;
  readonly hits: readonly HitCell[];
  readonly sentMs: number;
  /** Until when what it holds may be spent. */
  readonly leaseExpiryMs: number;
}

/** A call that waits for Redis. */
export interface WaitingCall {
  readonly rate: Rate;
  readonly limit: number;
  readonly count: number;
}

/** A report, and the calls that it asks for. */
export interface OutgoingReport extends Report {
  readonly asking: ReadonlySet<WaitingCall>;
  /** How far the wall clock was ahead when it was sent. */
  readonly sentAheadMs: number;
}

/** The part of a report that asks for calls. */
export function askingFor(
  calls: readonly WaitingCall[],
): Pick<OutgoingReport, "asked" | "needed" | "isAlike" | "asking"> {
  const asked = calls[0]?.count ?? 0;
  return {
    asked,
    needed: calls.reduce((sum, { count }) => sum + count, 0),
    isAlike: calls.length > 0 && calls.every(({ count }) => count === asked),
    asking: new Set(calls),
  };
}

/** What Redis says in answer to a report. Times are from then on. */
export type Answer = SyncReply;

/** Whether Redis had no room for the first of the calls that it didn't count, so that it has to wait. */
export function isDenial(answer: Answer, { asked, needed }: Pick<Report, "asked" | "needed">): boolean {
  return answer.counted < needed && answer.granted < asked;
}

/** What all reports of a limiter have in common. */
export interface Sender {
  readonly process: string;
  readonly windowMs: number;
  readonly bucketMs: number;
  /** How long Redis sets a lease aside: `Timing.setAsideMs`. */
  readonly leaseMs: number;
  /** Whether the caller's clock is to be used instead of the server's. */
  readonly isClockSent: boolean;
}

/** What a strategy adds: how Redis computes the factor. Absolute has none. */
export type FactorArguments = Pick<SyncArguments, "suppressionCacheMs" | "hardLimit">;

/** For a report that wants no factor. */
export const NO_FACTOR: FactorArguments = { suppressionCacheMs: undefined, hardLimit: undefined };

/** A report as the script takes it, and the time of it apart. */
export function argumentsOfReport(
  report: Report,
  sender: Sender,
  factor: FactorArguments,
): { readonly args: string[]; readonly clock: string[] } {
  const { number, rate, rateIsNew, limit, held, heldHeadroom, asked, needed, isAlike, wanted, wantedHeadroom } = report;
  const { hits, sentMs } = report;
  const { process, windowMs, bucketMs, leaseMs, isClockSent } = sender;
  const args = argumentsOf(SYNC, {
    process,
    windowMs,
    bucketMs,
    leaseMs,
    clockMs: undefined,
    report: number,
    rate,
    rateIsNew,
    limit,
    held,
    heldHeadroom,
    asked,
    needed,
    isAlike,
    wanted,
    wantedHeadroom,
    ...factor,
    hits: hits.map(({ report, hitMs, count, declined }) => ({ report, ageMs: sentMs - hitMs, count, declined })),
  });
  return { args, clock: isClockSent ? [luaNumber(sentMs)] : [] };
}

/** @throws {TrypemaError} `BACKEND_SCRIPT` for a reply that is none to `report` */
export function answerFrom(reply: unknown, report: Report, windowMs: number): Answer {
  const answer = fieldsOf(SYNC, reply);
  if (!isAnswerTo(report, answer, windowMs)) throw misfit(reply);
  return answer;
}

function isAnswerTo(report: Report, answer: Answer, windowMs: number): boolean {
  const { counted, granted, total, declined, leasedByOthers, firstAccepted, secondAccepted } = answer;
  const accepted = total - declined;
  const given = counted + granted;
  const usedWithLease = accepted + leasedByOthers + report.held;
  return (
    (counted === 0 || counted === report.needed || (report.isAlike && counted % report.asked === 0)) &&
    isWithin(counted, report.needed) &&
    isWithin(granted, report.needed + Math.max(0, report.wanted)) &&
    isTotal(total) &&
    isWithin(declined, total) &&
    isWhole(leasedByOthers) &&
    // Redis gives what is free to the calls that wait, and it gives nothing else, and nothing of a blocked key.
    (given > 0
      ? isWithin(usedWithLease + granted, report.limit) && answer.blockedMs === 0
      : usedWithLease + report.asked > report.limit || report.asked === 0 || answer.blockedMs > 0) &&
    isWait(answer.blockedMs) &&
    isWithin(answer.buckets, 3) &&
    isExpiry(answer.firstExpiresInMs, answer.buckets > 0 ? windowMs : Number.MAX_VALUE) &&
    isWithin(firstAccepted, accepted) &&
    isExpiry(answer.secondExpiresInMs, answer.buckets > 1 ? windowMs : Number.MAX_VALUE) &&
    isWithin(secondAccepted, accepted) &&
    isWait(answer.waitMs) &&
    isWithin(answer.freed, accepted + leasedByOthers) &&
    isShare(answer.factor) &&
    isExpiry(answer.factorLeftMs, Number.MAX_VALUE) &&
    isWithin(answer.grantedHeadroom, report.needed + Math.max(0, report.wantedHeadroom)) &&
    (answer.freeHeadroom === -1 || isWhole(answer.freeHeadroom))
  );
}

/**
 * A bucket that isn't there expires a window after the time 0, which a clock may not have come to yet. Times of day
 * have some thousandths of a millisecond.
 */
function isExpiry(ms: number, longestMs: number): boolean {
  return ms > Number.NEGATIVE_INFINITY && ms <= longestMs + 1;
}
