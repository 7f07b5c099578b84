// The exchanges with Redis: a report about a key, and the answer to it. For each key one exchange at a time, so all
// calls that come meanwhile share the next one.

import { type ForwardClock, systemClock } from "../core/clock.ts";
import type { Decision } from "../core/types.ts";
import type { Counts } from "../core/watch.ts";
import { timeoutError } from "../redis/failure.ts";
import type { RedisParts } from "../redis/limiter.ts";
import { SYNC } from "../redis/lua.generated.ts";
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
import type { Terms } from "./terms.ts";
import type { WallClock } from "./wall-clock.ts";

export interface HybridParts extends RedisParts {
  readonly syncIntervalMs: number;
  readonly wall: WallClock;
}

/** A call that waits, and whom to tell. */
interface Caller extends WaitingCall {
  undecided: Undecided;
  /** By the system's clock. */
  readonly sinceMs: number;
  resolve(decision: Decision): void;
  reject(error: unknown): void;
}

/** What goes on about one key. There is one while anything does. */
class Talk {
  /** The calls that wait, in their order. */
  callers: Caller[] = [];
  /** The exchange that is under way, and what follows from it. */
  current: Promise<void> | undefined = undefined;
  /** How many want everything reported and the lease returned when that is over. */
  settling = 0;

  get isOver(): boolean {
    return this.current === undefined && this.settling === 0 && this.callers.length === 0;
  }
}

export class Exchanges {
  readonly #parts: HybridParts;
  readonly #terms: Terms;
  readonly #strategy: HolderStrategy;
  readonly #fallback: Fallback;
  readonly #clock: ForwardClock;
  readonly #scheduler: Scheduler<Holder>;
  readonly #talks = new Map<Holder, Talk>();
  readonly #slices = new Slices();
  /**
   * The number of the last report, even: the odd one after it belongs to what Redis counts for the calls that wait. The
   * numbers go on when a key is forgotten and known again, because Redis may remember its last report.
   */
  #reports = 0;
  /** Tells Redis this process from others. Made with the first report: edge isolates have no random numbers before. */
  #sender: Sender | undefined;
  #isStopped = false;

  constructor(parts: HybridParts, terms: Terms, strategy: HolderStrategy, fallback: Fallback) {
    this.#parts = parts;
    this.#terms = terms;
    this.#strategy = strategy;
    this.#fallback = fallback;
    this.#clock = parts.settings.clock;
    this.#scheduler = new Scheduler<Holder>(this, parts.syncIntervalMs, terms.lingerMs);
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
  ask(holder: Holder, call: WaitingCall, undecided: Undecided): Promise<Decision> {
    return new Promise((resolve, reject) => {
      const talk = this.#talkOf(holder);
      talk.callers.push({ ...call, undecided, sinceMs: systemClock(), resolve, reject });
      holder.noteCall(call.count, call.limit);
      this.#parts.watch.counts.waited++;
      this.#parts.backend.keepTimer();
      if (talk.callers.length === 1 && talk.current === undefined) {
        talk.current = Promise.resolve().then(() => this.#serve(holder, talk));
      }
    });
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
    } while (this.#talks.get(holder)?.callers.length);
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
      talk = new Talk();
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
    while (talk.callers.length > 0 && talk.settling === 0) await this.#exchange(holder, talk);
    talk.current = undefined;
    if (talk.isOver) this.#talks.delete(holder);
    this.#scheduleAgain(holder);
  }

  /** One report, and what Redis says to it. False if there was no answer: then no call waits any longer. */
  async #exchange(holder: Holder, talk: Talk, purpose: "to settle" | "to go on" = "to go on"): Promise<boolean> {
    const { backend, names, settings, wall, watch } = this.#parts;
    let request: OutgoingReport | undefined;
    try {
      // First, because a report that isn't sent must be in no count, and leave its hits as they are.
      backend.checkAccepts();
      const beganMs = systemClock();
      this.#reports += 2;
      const sentMs = this.#clock.nowOrLast();
      request = holder.makeReport(this.#reports, talk.callers, sentMs, wall.aheadMs(sentMs));
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
      this.#answerCallers(holder, talk, new Serving(answer, request));
      await this.#giveUp(holder, talk, beganMs);
      return true;
    } catch (error) {
      await this.#fail(holder, talk, request, error);
      return false;
    }
  }

  #senderOnce(): Sender {
    const { windowMs, bucketMs, callersClock } = this.#parts.settings;
    this.#sender ??= {
      process: Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join(""),
      windowMs,
      bucketMs,
      leaseMs: this.#terms.setAsideMs,
      isClockSent: callersClock !== undefined,
    };
    return this.#sender;
  }

  /** Tells the calls what can be decided with the answer; the others stay, in their order. */
  #answerCallers(holder: Holder, talk: Talk, serving: Serving): void {
    let isFull = false;
    for (const caller of talk.callers.splice(0)) {
      const decision = this.#tryDecide(holder, caller, serving, isFull);
      if (decision !== "undecided") continue;
      // Calls at another rate take nothing from those at this one.
      if (caller.rate === holder.rate) isFull = true;
      talk.callers.push(caller);
    }
  }

  #tryDecide(holder: Holder, caller: Caller, serving: Serving, isFull: boolean): "decided" | "undecided" {
    const { rate, count } = caller;
    try {
      if (isFull && !serving.isDenied(count)) return "undecided";
      const nowMs = this.#clock.now();
      if (!holder.knows(rate)) return "undecided";
      holder.carryOn(nowMs, this.#parts.wall.aheadMs(nowMs));
      const decision = this.#strategy.decide(holder, count, nowMs, serving, caller.undecided);
      if (typeof decision === "number") {
        caller.undecided = decision;
        return "undecided";
      }
      caller.resolve(this.#parts.tally.add(decision, holder.key));
    } catch (error) {
      // The user's clock or random generator throws.
      caller.reject(error);
    }
    return "decided";
  }

  /**
   * Decides instead about calls that have waited too long: when they came an exchange may have been under way, and
   * another one may be needed, so that is twice `timeoutMs`. An exchange that took longer than its deadline was
   * answered in time and read late, because this process was held up. That time doesn't count.
   */
  async #giveUp(holder: Holder, talk: Talk, beganMs: number): Promise<void> {
    const { timeoutMs } = this.#parts.settings;
    const nowMs = systemClock();
    const earliestMs = (nowMs - beganMs > timeoutMs ? beganMs : nowMs) - timeoutMs;
    const first = talk.callers.findIndex(({ sinceMs }) => sinceMs > earliestMs);
    const givenUp = talk.callers.splice(0, first === -1 ? talk.callers.length : first);
    if (givenUp.length > 0) await this.#decideInstead(holder, givenUp, timeoutError(timeoutMs), 0);
  }

  /**
   * The answer is lost, or there never was a request. Redis may have counted the calls that it was asked for, under the
   * number after the report's, and no other calls.
   */
  async #fail(holder: Holder, talk: Talk, request: OutgoingReport | undefined, error: unknown): Promise<void> {
    if (request !== undefined) {
      this.#parts.watch.noteLostReport();
      holder.unanswered(request);
    }
    const callers = talk.callers.splice(0);
    const isAsked = (caller: Caller) => request?.asking.has(caller) === true;
    await this.#decideInstead(holder, callers.filter(isAsked), error, (request?.number ?? 0) + 1);
    await this.#decideInstead(
      holder,
      callers.filter((other) => !isAsked(other)),
      error,
      0,
    );
  }

  /**
   * In slices, because a hundred thousand calls may fail at once. The next report about the key is made when all of
   * them are decided, since the exchange isn't over before.
   */
  async #decideInstead(holder: Holder, callers: readonly Caller[], error: unknown, countedAs: number): Promise<void> {
    for (const caller of callers) {
      for (let pause = this.#slices.next(); pause !== undefined; pause = this.#slices.next()) await pause;
      try {
        caller.resolve(this.#fallback.decideAfter(error, holder, caller, countedAs));
      } catch (reason) {
        caller.reject(reason);
      }
    }
  }
}

function noteReport({ number, hits }: OutgoingReport, counts: Counts): void {
  counts.reports++;
  // Hits of an earlier report, which got no answer, were noted with that report.
  for (const { report, count, declined } of hits) if (report === number) counts.reported += count - declined;
}
