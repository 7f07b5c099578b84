// Stands between the limiters and Redis, so that a Redis that is away, hung or refusing harms nobody: every
// call has a deadline of our own, whatever the client's queue does, and after repeated failures a breaker
// answers at once and lets single calls through to see whether Redis is back.

import { systemClock } from "../core/clock.ts";
import { messageOf, TrypemaError, type TrypemaErrorCode } from "../core/errors.ts";
import { BackgroundTimer, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";

/** So many failures in a row open the breaker. */
const FAILURES_TO_OPEN = 5;
/** How long an open breaker waits before the next probe. */
const PROBE_INTERVAL_MS = 500;
/** The same where the last one is still unanswered: few enough not to pile up in a client that never gives up. */
const UNANSWERED_INTERVAL_MS = 10_000;

export class Guard {
  readonly #timeoutMs: number;
  readonly #deadlines: Deadlines;
  #failures = 0;
  #nextProbeMs = 0;
  /** When an open breaker let a call through that Redis hasn't answered yet. */
  #probeMs = Number.NEGATIVE_INFINITY;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.#deadlines = new Deadlines(timeoutMs);
  }

  /**
   * What `send` resolves to, within the deadline.
   *
   * @throws {TrypemaError} `BACKEND_TIMEOUT`, `BACKEND_UNAVAILABLE`, `BACKEND_SCRIPT`
   */
  run<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const probe = this.isOpen;
      if (probe) this.#startProbe();
      const deadline = this.#deadlines.start(() => {
        this.#countFailure();
        reject(timeoutError(this.#timeoutMs));
      });
      send().then(
        (reply) => {
          // Also an answer that comes after its deadline tells that Redis is there.
          this.#failures = 0;
          this.#probeMs = Number.NEGATIVE_INFINITY;
          this.#deadlines.meet(deadline);
          resolve(reply);
        },
        (error: unknown) => {
          if (probe) this.#probeMs = Number.NEGATIVE_INFINITY;
          if (!this.#deadlines.meet(deadline)) return;
          const failure = failureOf(error);
          // A script that fails is about its key, not about Redis.
          if (failure.code !== "BACKEND_SCRIPT") this.#countFailure();
          reject(failure);
        },
      );
    });
  }

  /** Whether calls are refused, but for one at times. */
  get isOpen(): boolean {
    return this.#failures >= FAILURES_TO_OPEN;
  }

  /** Whether a call now would be refused. */
  get refuses(): boolean {
    return this.isOpen && systemClock() < Math.max(this.#nextProbeMs, this.#probeMs + UNANSWERED_INTERVAL_MS);
  }

  #startProbe(): void {
    if (this.refuses) {
      throw new TrypemaError(
        "BACKEND_UNAVAILABLE",
        // The same for all calls of an outage, for whoever groups messages.
        `Redis failed at least ${FAILURES_TO_OPEN} times in a row: one call in ${PROBE_INTERVAL_MS} ms is sent to try it`,
      );
    }
    this.#nextProbeMs = systemClock() + PROBE_INTERVAL_MS;
    // A request that ends takes what it waits for with it: such a probe is never answered.
    if (!TIMERS_END_WITH_REQUESTS) this.#probeMs = systemClock();
  }

  #countFailure(): void {
    this.#failures++;
    this.#nextProbeMs = systemClock() + PROBE_INTERVAL_MS;
  }
}

export function timeoutError(timeoutMs: number): TrypemaError {
  return new TrypemaError("BACKEND_TIMEOUT", `Redis did not answer within ${timeoutMs} ms`);
}

function failureOf(error: unknown): TrypemaError {
  const message = messageOf(error);
  return new TrypemaError(codeOf(message), `Redis: ${message}`, { cause: error });
}

/** What goes wrong inside a script names it, since Redis 7 at the end. The text of a key can be at neither place. */
const OF_SCRIPT =
  /^ERR (Error running script \(call to f_[0-9a-f]+\): |.* script: [0-9a-f]{40}, on @user_script:\d+\.?$)/;
/**
 * What of that is about the server and not about the key: it refuses to write, which it quotes with its hyphen before
 * 7; the user lacks a right; a command was renamed or is too old; a library is missing; the key's slot is being moved.
 */
const OF_SERVER =
  / -[A-Z]+ |can't (run|access)|ACL failure|command (is )?(called|not allowed) from|syntax error|attempted to access/i;

/**
 * A script that fails on what one key holds must not open the breaker, because other keys are well. A script that would
 * fail for every key means that the backend is out.
 */
function codeOf(message: string): TrypemaErrorCode {
  const ofKey = /^WRONGTYPE\b/.test(message) || (OF_SCRIPT.test(message) && !OF_SERVER.test(message));
  return ofKey ? "BACKEND_SCRIPT" : "BACKEND_UNAVAILABLE";
}

interface Deadline {
  endMs: number;
  /** Whether it has been over once. */
  isPutOff: boolean;
  /** What it does when it is missed; absent once it is met or missed. */
  expire: (() => void) | undefined;
  /** Its own timer, where timers can't be shared. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

function miss(deadline: Deadline): void {
  deadline.expire?.();
  deadline.expire = undefined;
}

/**
 * Deadlines of one length, in the order of their ends, so one timer does for all. A deadline is for a slow Redis. A
 * process that was held up, by its own work or by others on the machine, runs its timers before it reads the answers
 * that have arrived. So each deadline is looked at twice before it is missed. The second look is a millisecond after
 * the first, or as long after it as the first came too late: the answers that are there have been read by then.
 */
class Deadlines {
  readonly #timeoutMs: number;
  #waiting: Deadline[] = [];
  readonly #timer = new BackgroundTimer(() => this.#sweep());

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  start(expire: () => void): Deadline {
    const deadline: Deadline = { endMs: systemClock() + this.#timeoutMs, isPutOff: false, expire, timer: undefined };
    if (TIMERS_END_WITH_REQUESTS) {
      deadline.timer = setTimeout(() => miss(deadline), this.#timeoutMs);
    } else {
      this.#waiting.push(deadline);
      this.#timer.start(this.#timeoutMs);
    }
    return deadline;
  }

  /** False if it was missed before. */
  meet(deadline: Deadline): boolean {
    const inTime = deadline.expire !== undefined;
    deadline.expire = undefined;
    if (deadline.timer !== undefined) clearTimeout(deadline.timer);
    return inTime;
  }

  #sweep(): void {
    const nowMs = systemClock();
    const lateMs = nowMs - (this.#waiting[0]?.endMs ?? nowMs);
    const firstLive = this.#waiting.findIndex(({ endMs, expire }) => expire !== undefined && endMs > nowMs);
    const over = this.#waiting.splice(0, firstLive === -1 ? this.#waiting.length : firstLive);
    this.#putOff(over, nowMs + Math.max(1, Math.min(lateMs, this.#timeoutMs)));
    const next = this.#waiting[0];
    if (next !== undefined) this.#timer.start(Math.max(1, Math.ceil(next.endMs - nowMs)));
  }

  /** Misses those that have been put off before. */
  #putOff(over: readonly Deadline[], endMs: number): void {
    const putOff: Deadline[] = [];
    for (const deadline of over) {
      if (deadline.expire === undefined) continue;
      if (deadline.isPutOff) miss(deadline);
      else putOff.push(Object.assign(deadline, { endMs, isPutOff: true }));
    }
    const later = this.#waiting.findIndex((deadline) => deadline.endMs > endMs);
    this.#waiting.splice(later === -1 ? this.#waiting.length : later, 0, ...putOff);
  }
}
