// Stands between the limiters and Redis, so that a Redis that is away, hung or refusing harms nobody: every
// call has a deadline of our own, whatever the client's queue does, and after repeated failures a breaker
// answers at once and lets single calls through to see whether Redis is back.

import { systemClock } from "../core/clock.ts";
import { TrypemaError, type TrypemaErrorCode } from "../core/errors.ts";
import { BackgroundTimer, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";

/** So many failures in a row open the breaker. */
const FAILURES_TO_OPEN = 5;
/** How long an open breaker waits before the next probe. */
const PROBE_INTERVAL_MS = 500;

export class Guard {
  readonly #timeoutMs: number;
  readonly #deadlines: Deadlines;
  #failures = 0;
  #nextProbeMs = 0;
  /** A call that an open breaker let through, until Redis has answered it: there is never a second one. */
  #probing = false;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#deadlines = new Deadlines(timeoutMs);
  }

  /**
   * What `send` resolves to, within the deadline.
   *
   * @throws {TrypemaError} `BACKEND_TIMEOUT`, `BACKEND_UNAVAILABLE`, `BACKEND_SCRIPT`
   */
  async run<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    const open = this.#failures >= FAILURES_TO_OPEN;
    if (open) {
      if (this.#probing || systemClock() < this.#nextProbeMs) {
        throw new TrypemaError(
          "BACKEND_UNAVAILABLE",
          `Redis failed ${this.#failures} times in a row: the next attempt is made within ${PROBE_INTERVAL_MS} ms`,
        );
      }
      // A request that ends takes what it waits for with it: such a probe would be the last one.
      this.#probing = !TIMERS_END_WITH_REQUESTS;
      this.#nextProbeMs = systemClock() + PROBE_INTERVAL_MS;
    }
    try {
      return await this.#deadlines.within(this.#watched(send, open));
    } catch (error) {
      const failure = this.#failureOf(error);
      // A script that fails is about its key, not about Redis.
      if (failure.code !== "BACKEND_SCRIPT") {
        this.#failures++;
        this.#nextProbeMs = systemClock() + PROBE_INTERVAL_MS;
      }
      throw failure;
    }
  }

  /** Also an answer that comes after its deadline tells that Redis is there. */
  async #watched<Reply>(send: () => Promise<Reply>, probe: boolean): Promise<Reply> {
    try {
      const reply = await send();
      this.#failures = 0;
      return reply;
    } finally {
      if (probe) this.#probing = false;
    }
  }

  #failureOf(error: unknown): TrypemaError {
    if (error === TIMED_OUT) {
      return new TrypemaError("BACKEND_TIMEOUT", `Redis did not answer within ${this.#timeoutMs} ms`);
    }
    const message = error instanceof Error ? error.message : String(error);
    // Redis names the script in what goes wrong inside it; 6.2 does so in other words than 7.
    const code: TrypemaErrorCode = /^(WRONGTYPE\b|ERR .*script)/i.test(message)
      ? "BACKEND_SCRIPT"
      : "BACKEND_UNAVAILABLE";
    return new TrypemaError(code, `Redis: ${message}`, { cause: error });
  }
}

const TIMED_OUT = Symbol("timed out");

interface Waiting {
  readonly endMs: number;
  /** Absent once it is over. */
  expire: (() => void) | undefined;
}

/** Deadlines of one length, in the order of their ends, so one timer does for all. */
class Deadlines {
  readonly #timeoutMs: number;
  #waiting: Waiting[] = [];
  readonly #timer = new BackgroundTimer(() => this.#sweep());

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** `promise`, or a rejection with TIMED_OUT when it takes too long. */
  within<T>(promise: Promise<T>): Promise<T> {
    if (TIMERS_END_WITH_REQUESTS) return this.#withinRequest(promise);
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { endMs: systemClock() + this.#timeoutMs, expire: () => reject(TIMED_OUT) };
      this.#waiting.push(waiting);
      this.#timer.start(this.#timeoutMs);
      const settle = () => {
        waiting.expire = undefined;
      };
      promise.then(resolve, reject).then(settle);
    });
  }

  #withinRequest<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(TIMED_OUT), this.#timeoutMs);
      promise.then(resolve, reject).then(() => clearTimeout(timer));
    });
  }

  #sweep(): void {
    const nowMs = systemClock();
    const firstLive = this.#waiting.findIndex(({ endMs, expire }) => expire !== undefined && endMs > nowMs);
    const over = firstLive === -1 ? this.#waiting : this.#waiting.slice(0, firstLive);
    this.#waiting = firstLive === -1 ? [] : this.#waiting.slice(firstLive);
    for (const { expire } of over) expire?.();
    const next = this.#waiting[0];
    if (next !== undefined) this.#timer.start(Math.max(1, Math.ceil(next.endMs - nowMs)));
  }
}
