// The exchanges with Redis: a report about a key, and the answer to it. For each key one exchange at a time, so all
// calls that come meanwhile share the next one.

import { type ForwardClock, systemClock } from "../core/clock.ts";
import type { Decision } from "../core/types.ts";
import type { Counts } from "../core/watch.ts";
import { SYNC } from "../redis/lua.generated.ts";
import type { RedisParts } from "../redis/parts.ts";
import type { Fallback } from "./fallback.ts";
import type { Holder } from "./holder.ts";
import {
  answerFrom,
  argumentsOfReport,
  NO_FACTOR,
  type OutgoingReport,
  type Sender,
  type WaitingCall,
} from "./protocol.ts";
import { Scheduler } from "./scheduler.ts";
import { Serving } from "./serving.ts";
import { Slices } from "./slices.ts";
import type { HolderStrategy, Undecided } from "./strategy.ts";
import type { Timing } from "./timing.ts";
import { type Deciders, WaitingCalls } from "./waiting-calls.ts";
import type { WallClock } from "./wall-clock.ts";

export interface HybridParts extends RedisParts {
  readonly syncIntervalMs: number;
  readonly wall: WallClock;
}

/** What goes on about one key. There is one while anything does. */
class Talk {
  readonly waiting: WaitingCalls;
  /** The exchange that is under way, and what follows from it. */
  current: Promise<void> | undefined = undefined;
  /** How many want everything reported and the lease returned when that is over. */
  settling = 0;

  constructor(waiting: WaitingCalls) {
    this.waiting = waiting;
  }

  get isOver(): boolean {
    return this.current === undefined && this.settling === 0 && this.waiting.size === 0;
  }
}

export class Exchanges {
  readonly #parts: HybridParts;
  readonly #timing: Timing;
  readonly #strategy: HolderStrategy;
  readonly #deciders: Deciders;
  readonly #clock: ForwardClock;
  readonly #scheduler: Scheduler<Holder>;
  readonly #talks = new Map<Holder, Talk>();
  /**
   * The number of the last report, even: the odd one after it belongs to what Redis counts for the calls that wait. The
   * numbers go on when a key is forgotten and known again, because Redis may remember its last report.
   */
  #reports = 0;
  /** Tells Redis this process from others. Made with the first report: edge isolates have no random numbers before. */
  #sender: Sender | undefined;
  #isStopped = false;

  constructor(parts: HybridParts, timing: Timing, strategy: HolderStrategy, fallback: Fallback) {
    this.#parts = parts;
    this.#timing = timing;
    this.#strategy = strategy;
    this.#clock = parts.settings.clock;
    const { settings, tally, wall } = parts;
    const { clock, timeoutMs } = settings;
    this.#deciders = { strategy, fallback, tally, clock, wall, slices: new Slices(), timeoutMs };
    this.#scheduler = new Scheduler<Holder>(this, parts.syncIntervalMs, timing.lingerMs);
  }

  /** Has the holder visited when it wants to be. */
  schedule(holder: Holder): void {
    this.#scheduler.schedule(holder, holder.reportsWhen);
  }

  get isOut(): boolean {
    return this.#parts.backend.isOut;
  }

  /** For good: what is to be reported then has to be settled. */
  stop(): void {
    this.#isStopped = true;
    this.#scheduler.stop();
  }

  /** Whether a call about the key waits, or a report is under way. */
  isBusy(holder: Holder): boolean {
    return this.#talks.has(holder);
  }

  /**
   * Calls that come before the program gives way share a round trip, and so do those that come while it is under way.
   */
  ask(holder: Holder, call: WaitingCall, draw: Undecided): Promise<Decision> {
    const talk = this.#talkOf(holder);
    const decision = talk.waiting.add(call, draw);
    holder.noteCall(call.count, call.limit);
    this.#parts.watch.counts.waited++;
    this.#parts.backend.keepTimer();
    if (talk.waiting.size === 1 && talk.current === undefined) {
      talk.current = Promise.resolve().then(() => this.#serve(holder, talk));
    }
    return decision;
  }

  /** Asks Redis for a lease, unless something is under way that does. */
  renew(holder: Holder): void {
    const talk = this.#talkOf(holder);
    if (talk.current !== undefined || this.#isStopped) return;
    talk.current = this.#exchange(holder, talk).then(() => this.#serve(holder, talk));
  }

  /**
   * Reports everything and returns the lease, after the exchange that is under way and before the calls that wait next.
   * Returns whether Redis knows of everything.
   */
  async settle(holder: Holder): Promise<boolean> {
    const talk = this.#talkOf(holder);
    talk.settling++;
    while (talk.current !== undefined) await talk.current;
    talk.settling--;
    const isOpen = holder.isDue(this.#clock.nowOrLast());
    if (isOpen) holder.returnLease();
    const reported = isOpen ? this.#reportAll(holder, talk) : Promise.resolve(true);
    talk.current = reported.then(() => this.#serve(holder, talk));
    return reported;
  }

  /** The same for good, when the calls that wait have been served: no call comes after them. */
  async finish(holder: Holder): Promise<void> {
    do {
      while (this.#talks.get(holder)?.current !== undefined) await this.#talks.get(holder)?.current;
      await this.settle(holder);
    } while (this.#talks.get(holder)?.waiting.size);
  }

  /** What a round does for a key: report, renew the lease, or return it when nobody calls. For the scheduler alone. */
  visit(holder: Holder): Promise<void> | undefined {
    if (this.#talks.get(holder)?.current !== undefined || this.#isStopped) return undefined;
    const nowMs = this.#clock.nowOrLast();
    if (this.#parts.backend.refuses) {
      // Hits and leases expire also while Redis is away.
      holder.outbox.expire(nowMs);
      if (holder.isDue(nowMs)) this.#scheduler.schedule(holder, "soon");
      return undefined;
    }
    if (holder.outbox.isEmpty) {
      if (!holder.lease.isSetAside(nowMs)) return undefined;
      if (!holder.isIdle(nowMs)) {
        this.#scheduleAgain(holder);
        return undefined;
      }
      holder.returnIdle(nowMs);
    }
    const talk = this.#talkOf(holder);
    const reported = this.#exchange(holder, talk);
    // Other keys need not wait for the calls to this one, which may go on for as long as anybody calls.
    talk.current = reported.then(() => this.#serve(holder, talk));
    return reported.then(() => {});
  }

  #talkOf(holder: Holder): Talk {
    let talk = this.#talks.get(holder);
    if (talk === undefined) {
      talk = new Talk(new WaitingCalls(holder, this.#deciders));
      this.#talks.set(holder, talk);
    }
    return talk;
  }

  #scheduleAgain(holder: Holder): void {
    if (!holder.outbox.isEmpty || holder.demand.isScarce) this.schedule(holder);
  }

  async #reportAll(holder: Holder, talk: Talk): Promise<boolean> {
    const isAnswered = await this.#exchange(holder, talk, "to settle");
    return isAnswered && holder.outbox.isHoldingBack ? this.#exchange(holder, talk, "to settle") : isAnswered;
  }

  /** Asks Redis until no call waits, or somebody wants the key settled. */
  async #serve(holder: Holder, talk: Talk): Promise<void> {
    while (talk.waiting.size > 0 && talk.settling === 0) await this.#exchange(holder, talk);
    talk.current = undefined;
    if (talk.isOver) this.#talks.delete(holder);
    this.#scheduleAgain(holder);
  }

  /** One report, and what Redis says to it. False if there was no answer: then the calls that waited are decided. */
  async #exchange(holder: Holder, talk: Talk, purpose: "to settle" | "to go on" = "to go on"): Promise<boolean> {
    const { backend, names, settings, wall, watch } = this.#parts;
    let request: OutgoingReport | undefined;
    try {
      // First, because a report that isn't sent must be in no count, and leave its hits as they are.
      backend.checkAccepts();
      const beganMs = systemClock();
      this.#reports += 2;
      const sentMs = this.#clock.nowOrLast();
      request = holder.makeReport(this.#reports, talk.waiting.calls, sentMs, wall.aheadMs(sentMs));
      noteReport(request, watch.counts);
      // To settle a key is no call to it. A factor that Redis computed now would be kept for calls that come later.
      const needsFactor = purpose === "to go on" || request.asked > 0;
      const factor = needsFactor ? this.#strategy.factorArguments(request.rate) : NO_FACTOR;
      const args = argumentsOfReport(request, this.#senderOnce(), factor);
      const reply = await backend.report({ command: SYNC, keys: names.withLeases(holder.key), ...args });
      const answer = answerFrom(reply, request, settings.windowMs);
      watch.counts.granted += answer.granted;
      const nowMs = this.#clock.nowOrLast();
      holder.answered(answer, request, nowMs, wall.aheadMs(nowMs));
      talk.waiting.serve(new Serving(answer, request));
      await talk.waiting.giveUp(beganMs);
      return true;
    } catch (error) {
      if (request !== undefined) {
        watch.noteLostReport();
        holder.unanswered(request);
      }
      await talk.waiting.fail(request, error);
      return false;
    }
  }

  #senderOnce(): Sender {
    const { windowMs, bucketMs, callersClock } = this.#parts.settings;
    this.#sender ??= {
      process: Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join(""),
      windowMs,
      bucketMs,
      leaseMs: this.#timing.setAsideMs,
      isClockSent: callersClock !== undefined,
    };
    return this.#sender;
  }
}

function noteReport({ number, hits }: OutgoingReport, counts: Counts): void {
  counts.reports++;
  // Hits of an earlier report, which got no answer, were noted with that report.
  for (const { report, count, declined } of hits) if (report === number) counts.reported += count - declined;
}
