// What is said to Redis and when: asking for those who wait, reporting, giving leases back. For each key one exchange
// at a time.

import { type ForwardClock, systemClock } from "../core/clock.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { timeoutError } from "../redis/failure.ts";
import { type RedisParts, text } from "../redis/limiter.ts";
import { SYNC } from "../redis/lua.generated.ts";
import { answerFrom, type Report } from "./answer.ts";
import type { Caller, KeyState } from "./key-state.ts";
import { Rounds } from "./rounds.ts";
import type { Terms } from "./unreported.ts";

export interface HybridParts extends RedisParts {
  readonly syncIntervalMs: number;
}

/** What the limiter of a strategy brings. */
export interface Deciding {
  /** The decision that can be made with what is known; undefined if Redis has to be asked. */
  decide(state: KeyState, rate: Rate, count: number): Decision | undefined;
  /** What the failure policy decides, where `error` stands in the way of Redis. */
  decideInstead(state: KeyState, caller: Caller, error: unknown): Promise<Decision>;
  /** What SYNC needs for the factor: suppressionCacheMs, or nothing, and the hard limit. */
  factorArguments(rate: Rate): [cacheMs: string, hardLimit: string];
}

/** One exchange. */
interface Request extends Report {
  /** By the system's clock. */
  readonly beganMs: number;
  /** Those who wait that it asks for. */
  readonly callers: ReadonlySet<Caller>;
  readonly args: string[];
}

export class Exchanges {
  readonly #parts: HybridParts;
  readonly #leaseMs: number;
  readonly #deciding: Deciding;
  readonly #clock: ForwardClock;
  readonly #rounds: Rounds;
  /**
   * The number of the last report, even: the odd one after it is for what Redis counted for those who waited. Goes on
   * when a key is forgotten and known again: Redis may remember its last report.
   */
  #reports = 0;
  /** What tells this process from the others that hold leases. Edge isolates have no chance before the first request. */
  #processId: string | undefined;
  #isStopped = false;

  constructor(parts: HybridParts, { leaseMs, patienceMs }: Terms, deciding: Deciding) {
    this.#parts = parts;
    this.#leaseMs = leaseMs;
    this.#deciding = deciding;
    this.#clock = parts.settings.clock;
    const visit = (state: KeyState) => this.#visit(state);
    const areDue = (states: readonly KeyState[]) => this.#areDue(states);
    this.#rounds = new Rounds(parts.syncIntervalMs, patienceMs, parts.backend, visit, areDue);
  }

  /** Has the next round look at it. */
  list(state: KeyState): void {
    this.#rounds.list(state);
  }

  /** For good: what is to be reported then has to be settled. */
  stop(): void {
    this.#isStopped = true;
    this.#rounds.stop();
  }

  /** Those who ask before the program gives way share a round trip, and so do those who come while it is under way. */
  ask(state: KeyState, rate: Rate, limit: number, count: number): Promise<Decision> {
    return new Promise((resolve) => {
      state.callers.push({ rate, limit, count, sinceMs: systemClock(), resolve });
      state.addDemand(count, limit);
      if (state.callers.length === 1 && state.exchange === undefined) {
        state.exchange = Promise.resolve().then(() => this.#serve(state));
      }
    });
  }

  /**
   * Reports everything and gives the lease back, after the exchange that goes on and before those who wait next.
   * Returns whether Redis knows of everything.
   */
  async settle(state: KeyState): Promise<boolean> {
    state.settling++;
    while (state.exchange !== undefined) await state.exchange;
    state.settling--;
    const isOpen = state.hasReport || state.hasReserved(this.#clock.nowOrLast());
    if (isOpen) state.release();
    const reported = isOpen ? this.#reportAll(state) : Promise.resolve(true);
    state.exchange = reported.then(() => this.#serve(state));
    return reported;
  }

  /** The same for good, when those who wait have been served: nobody comes after them. */
  async finish(state: KeyState): Promise<void> {
    do {
      while (state.exchange !== undefined) await state.exchange;
      await this.settle(state);
    } while (state.callers.length > 0);
  }

  async #reportAll(state: KeyState): Promise<boolean> {
    const isAnswered = await this.#exchange(state);
    return isAnswered && state.heldBack.length > 0 ? this.#exchange(state) : isAnswered;
  }

  /** What a round does for a key: report, renew the lease, or give it back when nobody uses it. */
  async #visit(state: KeyState): Promise<void> {
    if (state.exchange !== undefined || this.#isStopped) return;
    if (!state.hasReport) {
      const nowMs = this.#clock.nowOrLast();
      if (!state.hasReserved(nowMs)) return;
      if (!state.isIdle(nowMs)) return this.#listAgain(state);
      state.release();
    }
    const reported = this.#exchange(state);
    // There may be somebody who waits for as long as anybody calls.
    state.exchange = reported.then(() => this.#serve(state));
    await reported;
  }

  /** Those with something to report or to give back. Both expire, also while Redis is away. */
  #areDue(states: readonly KeyState[]): readonly KeyState[] {
    const nowMs = this.#clock.nowOrLast();
    return states.filter((state) => {
      state.dropExpired(nowMs);
      return state.hasReport || state.hasReserved(nowMs);
    });
  }

  #listAgain(state: KeyState): void {
    if (state.hasReport || state.isScarce) this.#rounds.list(state);
  }

  /** Asks Redis until nobody waits, or somebody wants it settled. */
  async #serve(state: KeyState): Promise<void> {
    while (state.callers.length > 0 && state.settling === 0) await this.#exchange(state);
    state.exchange = undefined;
    this.#listAgain(state);
  }

  /** Gives those who wait what can be decided with the answer; the others stay, in their order. */
  #answer(state: KeyState, { beganMs }: Request): void {
    const callers = state.callers.splice(0);
    let isFull = false;
    for (const caller of callers) {
      const decision = this.#decide(state, caller, isFull);
      if (decision !== undefined) {
        caller.resolve(decision);
        continue;
      }
      // Those of another rate take nothing from those of this one.
      if (caller.rate === state.rate) isFull = true;
      state.callers.push(caller);
    }
    state.endServing();
    this.#giveUp(state, beganMs);
  }

  #decide(state: KeyState, { rate, count }: Caller, isFull: boolean): Decision | Promise<Decision> | undefined {
    try {
      if (isFull && !state.isTooMuch(count)) return undefined;
      return this.#deciding.decide(state, rate, count);
    } catch (error) {
      // Of the user's clock or random.
      return Promise.reject(error);
    }
  }

  /**
   * An exchange may have gone on when they came, and another one may be needed: that is as long as it takes. One that took
   * longer than its deadline was answered, and read late, because this process was held up: that time doesn't count.
   */
  #giveUp(state: KeyState, beganMs: number): void {
    const { timeoutMs } = this.#parts.settings;
    const nowMs = systemClock();
    const patientSinceMs = (nowMs - beganMs > timeoutMs ? beganMs : nowMs) - timeoutMs;
    const first = state.callers.findIndex(({ sinceMs }) => sinceMs > patientSinceMs);
    for (const caller of state.callers.splice(0, first === -1 ? state.callers.length : first)) {
      caller.resolve(this.#deciding.decideInstead(state, caller, timeoutError(timeoutMs)));
    }
  }

  /** One report, and what Redis says to it. False if there was no answer: then nobody waits any longer. */
  async #exchange(state: KeyState): Promise<boolean> {
    const { backend, names } = this.#parts;
    let request: Request | undefined;
    try {
      request = this.#request(state);
      state.reserve(request.leaseUntilMs);
      const reply = await backend.run(SYNC, names.withLeases(state.key), request.args);
      state.learn(answerFrom(reply, request, this.#parts.settings.windowMs), request, this.#clock.nowOrLast());
      this.#answer(state, request);
      return true;
    } catch (error) {
      this.#fail(state, request, error);
      return false;
    }
  }

  #fail(state: KeyState, request: Request | undefined, error: unknown): void {
    if (request !== undefined) state.assume(request);
    const decideInstead = (caller: Caller) => caller.resolve(this.#deciding.decideInstead(state, caller, error));
    const callers = state.callers.splice(0);
    // Redis may have counted those that it was asked for, and nothing else.
    if (request !== undefined) state.recordFor(request.number + 1);
    callers.filter((caller) => request?.callers.has(caller)).forEach(decideInstead);
    state.recordFor(0);
    callers.filter((caller) => !request?.callers.has(caller)).forEach(decideInstead);
  }

  #request(state: KeyState): Request {
    const { settings } = this.#parts;
    this.#processId ??= Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
    const sentMs = this.#clock.nowOrLast();
    const [first] = state.callers;
    const { rate, limit } = first ?? state;
    this.#reports += 2;
    const number = this.#reports;
    const reported = state.report(number, sentMs);
    const { heldBack } = state;
    const callers = heldBack.length > 0 ? [] : state.callers.filter((caller) => caller.rate === rate);
    const asked = callers[0]?.count ?? 0;
    const needed = callers.reduce((sum, { count }) => sum + count, 0);
    // Others may have given the key another one since Redis was told.
    const givenRate = first !== undefined || !state.knowsRate(rate) ? rate : -rate;
    const wanted = state.takeDemand(limit, sentMs);
    // Who has to ask gets the whole truth: what is leased here counts as free for it.
    state.keepLease(first === undefined ? wanted : 0, sentMs);
    const held = heldBack.reduce((sum, { count, declined }) => sum + count - declined, state.lease);
    const args = [
      ...[settings.windowMs, settings.bucketMs, givenRate, limit].map(text),
      this.#processId,
      ...[this.#leaseMs, held, asked, needed, wanted - state.lease].map(text),
      ...this.#deciding.factorArguments(rate),
      ...[number, reported.length].map(text),
    ];
    for (const hit of reported) args.push(...[hit.report, sentMs - hit.hitMs, hit.count, hit.declined].map(text));
    if (settings.callersClock !== undefined) args.push(text(sentMs));
    return {
      number,
      beganMs: systemClock(),
      callers: new Set(callers),
      needed,
      wanted: needed + Math.max(0, wanted - state.lease),
      args,
      rate,
      limit,
      asked,
      held,
      leaseUntilMs: sentMs + this.#leaseMs,
    };
  }
}
