// What this process has of one key: a lease, hits that Redis doesn't know of yet, and what Redis has said of the key.
// It says what a report tells Redis and when it wants to be visited next. It sends nothing and calls nobody.
//
// | state   | what is known                                            | a call here                             |
// |---------|----------------------------------------------------------|-----------------------------------------|
// | unknown | nothing: the key is new, or Redis was asked to change it | has to ask Redis                        |
// | current | Redis' answer, and everything that has changed since     | is decided, if lease or answer allow    |
// | stale   | less: a bucket has expired, and the next isn't known     | spends the lease if others share the    |
// |         |                                                          | key, else has to ask                    |
//
//   unknown, current, stale --answered, or a take was rejected--> current
//   current --the first bucket expires, the second is unknown--> stale
//   unknown, current, stale --forget, degrade, the machine was suspended--> unknown
//
// What always holds:
// - Without a change of the rate, a failure policy or a draw above the limit: `used` plus what is left of the lease is
//   at most `limit`. A take that Redis decides may pass that, because Redis sees buckets expire a little sooner.
// - `used` is never less than what Redis counts at this time, except for what others report meanwhile, and for calls
//   that wait: Redis may have counted those already.
// - In the unknown state, and of a blocked key, there is no lease, but Redis may have one set aside (see lease.ts).
// - In the stale state the time `HOLDS_UNTIL_MS` is over.

import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import type { SuppressedView, WindowView } from "../strategy/view.ts";
import { Draws } from "./draws.ts";
import { KnownBlock } from "./known-block.ts";
import { tryJoin } from "./outbox.ts";
import { Pieces } from "./pieces.ts";
import { type Answer, askingFor, type OutgoingReport, type Report, type WaitingCall } from "./protocol.ts";
import {
  add,
  CALLED,
  HOLDS_UNTIL_MS,
  IS_RATE_TOLD,
  IS_STEADY,
  LIMIT,
  MOST_AHEAD_MS,
  RATE,
  read,
  USED,
  write,
} from "./rows.ts";
import type { Serving } from "./serving.ts";
import {
  expiresInMs,
  type KeptFactor,
  type NoRoom,
  noRoomAfterExpiry,
  noRoomOfAnswer,
  noRoomOfRejection,
} from "./snapshot.ts";
import { viewOf } from "./view.ts";
import { CLOCK_TOLERANCE_MS } from "./wall-clock.ts";

/** There is plenty when at least this part of the capacity is neither used nor leased. */
const PLENTY_PART = 8;

/**
 * | word                    | means                                                                                  |
 * |-------------------------|----------------------------------------------------------------------------------------|
 * | `HOLDS_UNTIL_MS`        | until then what is known holds: when the first bucket or the lease expires             |
 * | `MOST_AHEAD_MS`         | with a wall clock further ahead, the machine was suspended since Redis spoke of the key |
 * | `RATE`, `LIMIT`, `USED` | see the getters in pieces.ts                                                           |
 * | `CALLED`                | the counts of the calls since the last report, admitted or not                         |
 * | `IS_STEADY`             | 1 if a hit changes numbers and nothing else: neither the snapshot, of which a bucket   |
 * |                         | is known, nor what is known of a lack of room; else 0                                  |
 * | `IS_RATE_TOLD`          | 1 if Redis was told of `RATE` for sure; a rate that others have given it since stays   |
 */
export class Holder extends Pieces {
  #state: "unknown" | "current" | "stale" = "unknown";
  /** The block that Redis has told of; undefined for a key that isn't blocked. */
  #block: KnownBlock | undefined = undefined;
  #noRoom: NoRoom | undefined = undefined;
  #factor: KeptFactor | undefined = undefined;
  #draws: Draws | undefined = undefined;

  get isCurrent(): boolean {
    return this.#state === "current";
  }

  /** Whether what is known is about that rate. */
  knows(rate: Rate): boolean {
    return rate === this.rate && this.#state !== "unknown";
  }

  /**
   * Brings what is known to the present time.
   *
   * @param aheadMs how far the wall clock is ahead then; see wall-clock.ts
   */
  carryOn(nowMs: number, aheadMs: number): void {
    const { words, at } = this;
    if (aheadMs > words[at + MOST_AHEAD_MS]!) this.#wake(aheadMs);
    if (nowMs >= words[at + HOLDS_UNTIL_MS]!) this.#passEnd(nowMs);
  }

  /**
   * The machine was suspended. Nobody knows for how long by the clock of Redis, so what Redis said is of no use any
   * longer. The hits stay: they are reported as too young, so they count for longer than they have to.
   */
  #wake(aheadMs: number): void {
    this.forget();
    write(this, MOST_AHEAD_MS, aheadMs + CLOCK_TOLERANCE_MS);
  }

  /** Apart from what each call does, so that V8 inlines the latter: a call to a hot key takes a third less time so. */
  #passEnd(nowMs: number): void {
    this.lease.expire(nowMs);
    const { firstExpiryMs, firstAccepted } = this.snapshot;
    if (this.#state === "current" && nowMs >= firstExpiryMs) {
      if (!this.snapshot.tryDropFirst(nowMs)) {
        this.#state = "stale";
        return;
      }
      write(this, USED, this.used - firstAccepted);
      if (this.#noRoom !== undefined) this.#noteNoRoom(noRoomAfterExpiry(this.#noRoom, firstAccepted));
      else this.#noteSteady();
    }
    if (this.#state === "current") this.#noteNextEnd(nowMs);
  }

  /** Whether the lease covers a call within the capacity; see {@link trySpend} for the stale state. */
  canSpend(count: number): boolean {
    return this.#fits(count) && count <= this.lease.left;
  }

  #fits(count: number): boolean {
    const { words, at } = this;
    if (words[at + USED]! + count > words[at + LIMIT]!) return false;
    return this.#state === "current" || this.snapshot.isShared;
  }

  /**
   * Admits a call from what Redis counted for the calls that wait, or from the lease, if it fits.
   *
   * A stale holder spends its lease only where others have leases too: there the usage isn't known exactly anyway.
   * Where this process is alone, Redis decides exactly as Local would, and so it is asked.
   */
  trySpend(count: number, nowMs: number, serving?: Serving): boolean {
    if (serving !== undefined && this.used + count <= this.limit && serving.tryTake(count)) {
      write(this, USED, this.used + count);
      return true;
    }
    if (!this.#fits(count) || !this.lease.trySpend(count)) return false;
    this.addHit(count, 0, nowMs);
    return true;
  }

  /** Suppressed: admits a call above the limit, which a draw admits, if lease and headroom cover it. */
  trySpendAbove(count: number, nowMs: number): boolean {
    if (!this.lease.canSpendAbove(count)) return false;
    this.lease.spendAbove(count);
    this.addHit(count, 0, nowMs);
    return true;
  }

  /** Suppressed: what calls above the limit call for. It is made when it is first asked for. */
  ensureDraws(): Draws {
    this.#draws ??= new Draws(this.timing);
    return this.#draws;
  }

  /** Counts a hit that is to be reported, of which `declined` was denied. */
  addHit(count: number, declined: number, nowMs: number): void {
    if (!tryJoin(this, count, declined, nowMs)) this.outbox.add(count, declined, nowMs);
    if (this.#noRoom !== undefined) this.#noteNoRoom(undefined);
    this.#addUsed(count - declined, nowMs);
  }

  #addUsed(accepted: number, hitMs: number): void {
    if (this.#state === "unknown") return;
    add(this, USED, accepted);
    if (this.snapshot.isGrowing) this.#growSnapshot(accepted, hitMs);
  }

  #growSnapshot(accepted: number, hitMs: number): void {
    this.snapshot.addHit(accepted, hitMs);
    this.#noteSteady();
    if (this.#state === "current") this.#noteNextEnd(hitMs);
  }

  #noteNoRoom(noRoom: NoRoom | undefined): void {
    this.#noRoom = noRoom;
    this.#noteSteady();
  }

  #noteSteady(): void {
    const { isGrowing, firstExpiryMs } = this.snapshot;
    const isSteady = !isGrowing && firstExpiryMs < Number.POSITIVE_INFINITY && this.#noRoom === undefined;
    write(this, IS_STEADY, isSteady ? 1 : 0);
  }

  #noteNextEnd(nowMs: number): void {
    const firstMs = this.snapshot.firstExpiryMs;
    const { expiryMs } = this.lease;
    write(this, HOLDS_UNTIL_MS, nowMs < expiryMs ? Math.min(firstMs, expiryMs) : firstMs);
  }

  /** Absolute: whether it is known that there is no room for a call of that count. */
  hasNoRoomFor(count: number, nowMs: number): boolean {
    return this.#noRoom !== undefined && count === this.#noRoom.count && nowMs < this.#noRoom.askAgainMs;
  }

  /** Whether the key was blocked when Redis spoke of it last. */
  get isBlocked(): boolean {
    return this.#block !== undefined;
  }

  /**
   * The rejection of a call to a blocked key; undefined if Redis has to be asked whether the key still is blocked.
   *
   * @param most the largest count that is ever admitted
   */
  rejectBlocked(count: number, most: number, nowMs: number): Decision | undefined {
    const window = { used: this.used, oldestExpiresInMs: this.moreAfterMs(nowMs) };
    return this.#block?.reject(window, { limit: this.limit, most, windowMs: this.timing.windowMs }, count, nowMs);
  }

  /** Suppressed: the factor over the soft limit, if it may be used for a call now; else -1. */
  factorAt(nowMs: number): number {
    return this.#factor !== undefined && nowMs < this.#factor.untilMs ? this.#factor.factor : -1;
  }

  /**
   * How long until the oldest bucket that is known expires. Where none is known, what is used is leased by others, or
   * the holder is stale: then usage changes soon.
   */
  moreAfterMs(nowMs: number): number {
    const firstMs = this.snapshot.firstExpiryMs;
    if (firstMs < Number.POSITIVE_INFINITY) return expiresInMs(firstMs, nowMs, this.timing.windowMs);
    return this.#noRoom === undefined ? 0 : Math.max(0, this.#noRoom.untilMs - nowMs);
  }

  /** The window as a strategy sees it when it denies a call. */
  viewAt(nowMs: number): WindowView & SuppressedView {
    return viewOf(this, this.#noRoom, this.snapshot.firstAccepted, nowMs);
  }

  /** Notes a call, admitted or not. A call that can never fit is none to lease anything for. */
  noteCall(count: number, limit: number): void {
    if (count <= limit) add(this, CALLED, count);
  }

  /** What is known may not hold any longer; the lease goes with it. */
  forget(): void {
    this.#noteBlock(0, 0);
    this.#forgetWindow();
  }

  #forgetWindow(): void {
    this.#state = "unknown";
    this.#factor = undefined;
    this.lease.shrinkTo(0, 0);
  }

  #noteBlock(leftMs: number, nowMs: number): void {
    this.#block = leftMs > 0 ? new KnownBlock(leftMs, nowMs, this.timing.leaseMs) : undefined;
    // A lease of a blocked key is of no use here.
    if (leftMs > 0) this.lease.shrinkTo(0, 0);
  }

  /** Forgets also what is to be reported. */
  clear(): void {
    this.forget();
    this.outbox.clear();
  }

  /**
   * Redis has decided about a call in a take: notes what that says of the key, which has been carried on.
   *
   * @param isTaken whether all calls of the take were admitted, so that Redis has counted this one
   */
  noteTaken({ rate, limit, count }: WaitingCall, decision: Decision, isTaken: boolean, nowMs: number): void {
    this.noteCall(count, limit);
    if (decision.blocked === true) this.#noteBlock(decision.retryAfterMs, nowMs);
    if (decision.allowed && this.knows(rate)) {
      this.#noteNoRoom(undefined);
      if (isTaken) this.#addUsed(count, nowMs);
    }
    if (decision.allowed && decision.outcome === "suppressed") this.ensureDraws().note(count);
    // A lease that is asked for now is one at this rate.
    if (this.#state === "unknown") this.#noteRate(rate, limit);
    if (decision.outcome === "rejected" && count <= limit) this.#noteRejection({ rate, limit, count }, decision, nowMs);
  }

  #noteRate(rate: Rate, limit: number): void {
    write(this, RATE, rate);
    write(this, LIMIT, limit);
    write(this, IS_RATE_TOLD, 1);
  }

  /**
   * A rejection says how much is used, but of no bucket when it expires. That is enough to reject calls of the same
   * count for a while. For any other call Redis is asked.
   */
  #noteRejection({ rate, limit, count }: WaitingCall, decision: Decision, nowMs: number): void {
    if (!this.knows(rate) || !this.isCurrent) {
      this.#noteRate(rate, limit);
      this.#state = "current";
      write(this, USED, limit - decision.remaining);
      this.snapshot.forget();
      this.#noteSteady();
      this.#noteNextEnd(nowMs);
    }
    if (this.lease.left === 0) this.#noteNoRoom(noRoomOfRejection(decision, count, limit - this.used, nowMs));
  }

  /** Whether more than 1 was called for since the key is known here, or since the last report. */
  get isCalledOften(): boolean {
    return read(this, CALLED) > 1;
  }

  /** A failure policy decides about calls at that rate. A block that is known stays. */
  degrade(rate: Rate, limit: number): void {
    this.#forgetWindow();
    if (rate !== this.rate) write(this, IS_RATE_TOLD, 0);
    write(this, RATE, rate);
    write(this, LIMIT, limit);
  }

  /** Returns the lease with the next report, and wants no other. */
  returnLease(): void {
    this.lease.shrinkTo(0, 0);
    write(this, CALLED, 0);
    this.demand.clear();
    this.#draws?.clear();
  }

  /**
   * Makes the next report, and with it the hits that it brings are in flight.
   *
   * Calls wait only for their own rate: the report is about the rate of the first one. A report that holds hits back
   * asks for no call, since Redis would count it before these hits.
   */
  makeReport(number: number, waiting: readonly WaitingCall[], nowMs: number, aheadMs: number): OutgoingReport {
    if (aheadMs > read(this, MOST_AHEAD_MS)) this.#wake(aheadMs);
    const { lease, outbox, demand } = this;
    const hits = outbox.takeForReport(number, nowMs);
    const [first] = waiting;
    const { rate, limit } = first ?? this;
    const asking = outbox.isHoldingBack ? [] : waiting.filter((call) => call.rate === rate);
    const wantedHeadroom = this.#draws?.takeWanted(demand.sinceReportMs(nowMs)) ?? 0;
    const unleased = this.#state === "unknown" ? limit : this.#unleased;
    const wanted = demand.takeWanted(read(this, CALLED), unleased, nowMs);
    write(this, CALLED, 0);
    lease.expire(nowMs);
    // When a call waits, Redis has to know everything to decide: what is leased here counts as free for it.
    lease.shrinkTo(first === undefined ? wanted : 0, first === undefined ? wantedHeadroom : 0);
    const { leaseMs, setAsideMs, windowMs } = this.timing;
    lease.noteSetAside(Math.max(0, wanted - lease.left), nowMs + setAsideMs + windowMs);
    return {
      number,
      rate,
      rateIsNew: first !== undefined || read(this, IS_RATE_TOLD) === 0,
      limit,
      held: lease.left + outbox.heldBackAccepted,
      heldHeadroom: lease.headroom,
      ...askingFor(asking),
      wanted: wanted - lease.left,
      wantedHeadroom: wantedHeadroom - lease.headroom,
      hits,
      sentMs: nowMs,
      sentAheadMs: aheadMs,
      leaseExpiryMs: nowMs + leaseMs,
    };
  }

  /** Redis has answered. */
  answered(answer: Answer, report: OutgoingReport, nowMs: number, aheadMs: number): void {
    const { rate, limit } = report;
    this.outbox.confirm(report.number);
    if (!this.knows(rate)) this.#draws?.forgetMostUsed();
    // Redis forgets a factor with the last of the counts that it was computed of.
    if (!this.knows(rate) || answer.total === answer.counted) this.#factor = undefined;
    this.#state = "current";
    this.#noteRate(rate, limit);
    this.lease.refresh(answer.granted, answer.grantedHeadroom, report.leaseExpiryMs);
    // The answer of a process that was held up may be read when its lease is over.
    this.lease.expire(nowMs);
    const { held } = report;
    const leased = held + report.heldHeadroom + answer.granted + answer.grantedHeadroom;
    if (leased === 0) this.lease.end();
    this.#noteAhead(report.sentAheadMs, aheadMs);
    const used = answer.total - answer.declined + answer.leasedByOthers;
    // What was counted for the calls that wait is used as they are served.
    write(this, USED, used - answer.counted);
    // Most keys never pass their limit, and need no object for draws.
    if (answer.freeHeadroom >= 0)
      (used < limit ? this.#draws : this.ensureDraws())?.noteMostUsed(used + leased + answer.freeHeadroom, nowMs);
    this.demand.noteUnleased(limit - used - held - answer.granted, limit);
    this.snapshot.note(answer, nowMs);
    if (report.asked > 0) this.#noRoom = noRoomOfAnswer(answer, report, nowMs, this.timing.leaseMs);
    this.#noteSteady();
    if (answer.factorLeftMs >= 0) this.#factor = { factor: answer.factor, untilMs: nowMs + answer.factorLeftMs };
    this.#noteBlock(answer.blockedMs, nowMs);
    this.#noteNextEnd(nowMs);
    // What was counted while the report was on its way comes on top.
    for (const { count, declined, hitMs } of this.outbox.hits) this.#addUsed(count - declined, hitMs);
  }

  /** If the machine was suspended since the report was sent, the lease that its answer brings may be over. */
  #noteAhead(sentAheadMs: number, aheadMs: number): void {
    const wasSuspended = aheadMs > sentAheadMs + CLOCK_TOLERANCE_MS;
    if (wasSuspended) this.lease.shrinkTo(0, 0);
    write(this, MOST_AHEAD_MS, (wasSuspended ? aheadMs : Math.min(sentAheadMs, aheadMs)) + CLOCK_TOLERANCE_MS);
  }

  /** The answer to a report is lost: Redis may have been told of its rate. */
  unanswered({ rate, limit }: Report): void {
    if (this.#state !== "unknown") return;
    this.#noteRate(rate, limit);
    write(this, IS_RATE_TOLD, 0);
  }

  /** Whether nobody has called for so long that the lease should go back, or what is left of it beside headroom. */
  isIdle(nowMs: number): boolean {
    return this.demand.isIdle(this.lease, nowMs);
  }

  /** Returns with the next report what should go back. */
  returnIdle(nowMs: number): void {
    if (this.lease.headroom > 0 && !this.demand.isLongIdle(nowMs)) {
      this.lease.shrinkTo(0, this.lease.headroom);
      this.demand.clear();
    } else this.returnLease();
  }

  /** Whether there is anything to report or to return. */
  isDue(nowMs: number): boolean {
    return !this.outbox.isEmpty || this.lease.isSetAside(nowMs);
  }

  /** Whether anything would be lost if this process forgot the key. */
  isUseful(nowMs: number): boolean {
    if (this.isDue(nowMs) || !this.isIdle(nowMs) || this.#block?.isBelieved(nowMs)) return true;
    return (this.#noRoom !== undefined && nowMs < this.#noRoom.askAgainMs) || this.factorAt(nowMs) >= 0;
  }

  /** When to report: a report may wait while there is plenty, and no need yet to have the lease filled up. */
  get reportsWhen(): "soon" | "later" {
    const { lingerMs, shortHorizonMs } = this.timing;
    if (lingerMs < shortHorizonMs || PLENTY_PART * this.#unleased < this.limit) return "soon";
    return this.lease.left > 0 && this.lease.left >= this.demand.recent ? "later" : "soon";
  }

  /** What nobody uses or has leased. */
  get #unleased(): number {
    return this.limit - this.used - this.lease.left;
  }
}
