// A call that counts, while it waits for Redis.

import type { TrypemaError } from "../core/errors.ts";
import type { Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import type { CallTerms, IncCall } from "./batch.ts";
import { PendingCall } from "./breaker.ts";
import type { Queued } from "./call-queue.ts";
import type { DecidedCall, RedisLimiter } from "./limiter.ts";

/**
 * All that a call to `inc` keeps until Redis answers: what a batch is made of, its deadline, and what the decision is
 * made of. It settles the caller's promise itself. One object and one promise for each call, with no async function
 * around them, save a seventh of the client's time for calls to a hot key.
 */
export class PendingInc extends PendingCall implements Queued<IncCall>, IncCall, DecidedCall {
  readonly terms: CallTerms;
  readonly keys: readonly [state: string, buckets: string];
  readonly rate: Rate;
  readonly count: number;
  readonly draw: number | undefined;
  readonly nowMs: number | undefined;
  readonly #limiter: RedisLimiter;
  readonly #settle: (decision: Decision | Promise<Decision>) => void;
  readonly #key: string;

  constructor(
    limiter: RedisLimiter,
    settle: (decision: Decision | Promise<Decision>) => void,
    key: string,
    rate: Rate,
    count: number,
    terms: CallTerms,
    keys: readonly [state: string, buckets: string],
    draw: number | undefined,
    nowMs: number | undefined,
  ) {
    super();
    this.#limiter = limiter;
    this.#settle = settle;
    this.#key = key;
    this.rate = rate;
    this.count = count;
    this.terms = terms;
    this.keys = keys;
    this.draw = draw;
    this.nowMs = nowMs;
  }

  get isDrawFresh(): boolean {
    return true;
  }

  get call(): IncCall {
    return this;
  }

  resolve(reply: unknown): void {
    try {
      const decision = this.#limiter.concluded(reply, this, "counted");
      this.#settle(this.#limiter.tally.add(decision, this.#key));
    } catch (error) {
      this.#settleInstead(error);
    }
  }

  reject(error: TrypemaError): void {
    this.#settleInstead(error);
  }

  #settleInstead(error: unknown): void {
    this.#settle(this.#limiter.incInstead(error, this.#key, this.rate, this.count));
  }
}
