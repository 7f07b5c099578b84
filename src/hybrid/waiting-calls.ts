// The calls about one key that wait for an answer of Redis, and how they get their decisions: from the answer, or from
// the failure policy where there is none.
//
// What always holds:
// - A call is told once: a decision or an error. Until then it waits here.
// - The calls that wait are in the order in which they came.

import { type ForwardClock, systemClock } from "../core/clock.ts";
import type { Tally } from "../core/tally.ts";
import type { Decision } from "../core/types.ts";
import { timeoutError } from "../redis/failure.ts";
import type { Fallback } from "./fallback.ts";
import type { Holder } from "./holder.ts";
import type { OutgoingReport, WaitingCall } from "./protocol.ts";
import type { Serving } from "./serving.ts";
import type { Slices } from "./slices.ts";
import type { HolderStrategy, Undecided } from "./strategy.ts";
import type { WallClock } from "./wall-clock.ts";

/** What decides about the calls of all keys of a limiter. */
export interface Deciders {
  readonly strategy: Pick<HolderStrategy, "decide">;
  readonly fallback: Pick<Fallback, "decideAfter">;
  readonly tally: Pick<Tally, "add">;
  readonly clock: ForwardClock;
  readonly wall: WallClock;
  readonly slices: Slices;
  readonly timeoutMs: number;
}

/** A call that waits, and whom to tell. */
interface Caller extends WaitingCall {
  draw: Undecided;
  /** By the system's clock. */
  readonly sinceMs: number;
  resolve(decision: Decision): void;
  reject(error: unknown): void;
}

export class WaitingCalls {
  readonly #holder: Holder;
  readonly #deciders: Deciders;
  readonly #callers: Caller[] = [];

  constructor(holder: Holder, deciders: Deciders) {
    this.#holder = holder;
    this.#deciders = deciders;
  }

  get size(): number {
    return this.#callers.length;
  }

  /** The calls, in their order. */
  get calls(): readonly WaitingCall[] {
    return this.#callers;
  }

  /** Has a call wait. Resolves to its decision. */
  add(call: WaitingCall, draw: Undecided): Promise<Decision> {
    return new Promise((resolve, reject) => {
      this.#callers.push({ ...call, draw, sinceMs: systemClock(), resolve, reject });
    });
  }

  /** Decides what can be decided with an answer, which the holder has been told. The other calls go on waiting. */
  serve(serving: Serving): void {
    let isFull = false;
    for (const caller of this.#callers.splice(0)) {
      const isDecided = (!isFull || serving.isDenied(caller.count)) && this.#tryDecide(caller, serving);
      if (isDecided) continue;
      // Calls at another rate take nothing from those at this one.
      if (caller.rate === this.#holder.rate) isFull = true;
      this.#callers.push(caller);
    }
  }

  /** Decides about a call and tells it, if that is possible with what the holder knows. Returns whether it was. */
  #tryDecide(caller: Caller, serving: Serving): boolean {
    const { strategy, tally, clock, wall } = this.#deciders;
    const holder = this.#holder;
    try {
      const nowMs = clock.now();
      if (!holder.knows(caller.rate)) return false;
      holder.carryOn(nowMs, wall.aheadMs(nowMs));
      const decision = strategy.decide(holder, caller.count, nowMs, serving, caller.draw);
      if (typeof decision === "number") {
        caller.draw = decision;
        return false;
      }
      caller.resolve(tally.add(decision, holder.key));
    } catch (error) {
      // The user's clock or random generator throws.
      caller.reject(error);
    }
    return true;
  }

  /**
   * Has the failure policy decide about calls that have waited too long: when they came an exchange may have been under
   * way, and another one may be needed, so that is twice `timeoutMs`. An exchange that took longer than its deadline
   * was answered in time and read late, because this process was held up. That time doesn't count.
   *
   * @param beganMs when the exchange began that was answered now, by the system's clock
   */
  async giveUp(beganMs: number): Promise<void> {
    const { timeoutMs } = this.#deciders;
    const nowMs = systemClock();
    const earliestMs = (nowMs - beganMs > timeoutMs ? beganMs : nowMs) - timeoutMs;
    const first = this.#callers.findIndex(({ sinceMs }) => sinceMs > earliestMs);
    const givenUp = this.#callers.splice(0, first === -1 ? this.#callers.length : first);
    if (givenUp.length > 0) await this.#decideInstead(givenUp, timeoutError(timeoutMs), 0);
  }

  /**
   * Has the failure policy decide about all calls: the answer is lost, or there never was a report. Redis may have
   * counted the calls that the report asked for, under the number after the report's, and no other calls.
   */
  async fail(report: OutgoingReport | undefined, error: unknown): Promise<void> {
    const callers = this.#callers.splice(0);
    const isAsked = (caller: Caller) => report?.asking.has(caller) === true;
    const others = callers.filter((caller) => !isAsked(caller));
    if (report !== undefined) await this.#decideInstead(callers.filter(isAsked), error, report.number + 1);
    await this.#decideInstead(others, error, 0);
  }

  /**
   * In slices, because a hundred thousand calls may fail at once. The next report about the key is made when all of
   * them are decided, since the exchange isn't over before.
   *
   * @param countedAs the number under which Redis may have counted the calls all the same; 0 if it can't have
   */
  async #decideInstead(callers: readonly Caller[], error: unknown, countedAs: number): Promise<void> {
    const { fallback, slices } = this.#deciders;
    for (const caller of callers) {
      for (let pause = slices.next(); pause !== undefined; pause = slices.next()) await pause;
      try {
        caller.resolve(fallback.decideAfter(error, this.#holder, caller, countedAs));
      } catch (reason) {
        caller.reject(reason);
      }
    }
  }
}
