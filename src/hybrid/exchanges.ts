// What is said to Redis and when: asking for those who wait, reporting, giving leases back. For each key one exchange
// at a time.

import { type ForwardClock, systemClock } from "../core/clock.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { timeoutError } from "../redis/guard.ts";
import { fieldsFrom, type RedisParts, text } from "../redis/limiter.ts";
import { SYNC } from "../redis/lua.generated.ts";
import type { Caller, KeyState, Report } from "./key-state.ts";
import { Rounds } from "./rounds.ts";
import type { Terms } from "./unreported.ts";

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
  /** How many of those who wait it asks for. */
  readonly callers: number;
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
    this.#rounds = new Rounds(parts.syncIntervalMs, patienceMs, parts.backend, (state) => this.#visit(state));
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
      state.demand += count;
      if (state.callers.length === 1 && state.exchange === undefined) {
        state.exchange = Promise.resolve().then(() => this.#serve(state));
      }
    });
  }

  /** Reports everything and gives the lease back. */
  async settle(state: KeyState): Promise<void> {
    while (state.exchange !== undefined) await state.exchange;
    if (!state.hasReport && !state.hasReserved(this.#clock.now())) return;
    state.release();
    state.exchange = this.#reportAll(state).then(() => this.#serve(state));
    await state.exchange;
  }

  async #reportAll(state: KeyState): Promise<void> {
    const isAnswered = await this.#exchange(state);
    if (isAnswered && state.heldBack.length > 0) await this.#exchange(state);
  }

  /** What a round does for a key: report, renew the lease, or give it back when nobody uses it. Never rejects. */
  async #visit(state: KeyState): Promise<void> {
    if (state.exchange !== undefined || this.#isStopped) return;
    if (!state.hasReport) {
      const nowMs = this.#clock.now();
      if (!state.hasReserved(nowMs)) return;
      if (!state.isIdle(nowMs)) return this.#listAgain(state);
      state.release();
    }
    state.exchange = this.#exchange(state).then(() => this.#serve(state));
    await state.exchange;
  }

  #listAgain(state: KeyState): void {
    if (state.hasReport || (state.isScarce && state.hasReserved(this.#clock.now()))) this.#rounds.list(state);
  }

  /** Asks Redis until nobody waits. */
  async #serve(state: KeyState): Promise<void> {
    while (state.callers.length > 0) {
      if (!(await this.#exchange(state))) continue;
      let served = 0;
      for (const { rate, count, resolve } of state.callers) {
        const decision = this.#deciding.decide(state, rate, count);
        if (decision === undefined) break;
        resolve(decision);
        served++;
      }
      state.callers.splice(0, served);
      state.endServing();
      this.#giveUp(state);
    }
    state.exchange = undefined;
    this.#listAgain(state);
  }

  /** An exchange may have gone on when they came, and another one may be needed: that is as long as it takes. */
  #giveUp(state: KeyState): void {
    const { timeoutMs } = this.#parts.settings;
    const patientSinceMs = systemClock() - timeoutMs;
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
      state.learn(fieldsFrom(reply, ANSWER_FIELDS), request, this.#clock.now());
      return true;
    } catch (error) {
      this.#fail(state, request, error);
      return false;
    }
  }

  #fail(state: KeyState, request: Request | undefined, error: unknown): void {
    const { number, callers: asked } = request ?? { number: 0, callers: 0 };
    const decideInstead = (caller: Caller) => caller.resolve(this.#deciding.decideInstead(state, caller, error));
    const callers = state.callers.splice(0);
    // Redis may have counted those that it was asked for, and nothing else.
    state.endCell(0);
    callers.slice(0, asked).forEach(decideInstead);
    state.endCell(number + 1);
    callers.slice(asked).forEach(decideInstead);
  }

  #request(state: KeyState): Request {
    const { settings } = this.#parts;
    this.#processId ??= Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(36)).join("");
    const sentMs = this.#clock.now();
    const [first] = state.callers;
    const { rate, limit } = first ?? state;
    this.#reports += 2;
    const number = this.#reports;
    const reported = state.report(number, sentMs);
    const { heldBack } = state;
    const callers = heldBack.length > 0 ? 0 : callersAt(rate, state.callers);
    const asked = callers === 0 ? 0 : first!.count;
    const needed = state.callers.slice(0, callers).reduce((sum, { count }) => sum + count, 0);
    const wanted = state.takeDemand(limit, sentMs);
    // Who has to ask gets the whole truth: what is leased here counts as free for it.
    state.keepLease(first === undefined ? wanted : 0, sentMs);
    const held = heldBack.reduce((sum, { count, declined }) => sum + count - declined, state.lease);
    const args = [
      ...[settings.windowMs, settings.bucketMs, rate, limit].map(text),
      this.#processId,
      ...[this.#leaseMs, held, asked, needed, wanted - state.lease].map(text),
      ...this.#deciding.factorArguments(rate),
      ...[number, reported.length].map(text),
    ];
    for (const hit of reported) args.push(...[hit.report, sentMs - hit.hitMs, hit.count, hit.declined].map(text));
    if (settings.callersClock !== undefined) args.push(text(sentMs));
    return { number, callers, args, rate, limit, asked, held, leaseUntilMs: sentMs + this.#leaseMs };
  }
}

/** How many of the first callers have the same rate. */
function callersAt(rate: Rate, callers: readonly Caller[]): number {
  const other = callers.findIndex((caller) => caller.rate !== rate);
  return other === -1 ? callers.length : other;
}
