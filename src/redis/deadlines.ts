// Deadlines of one length, for calls to Redis.

import { systemClock } from "../core/clock.ts";
import { BackgroundTimer, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";

export interface Deadline {
  endMs: number;
  /** Whether its end has passed once, after which it gets a second look. */
  isPutOff: boolean;
  /** Called when the deadline is missed; undefined once it is met or missed. */
  expire: (() => void) | undefined;
  /** Its own timer, where timers can't be shared. */
  timer: ReturnType<typeof setTimeout> | undefined;
}

function miss(deadline: Deadline): void {
  deadline.expire?.();
  deadline.expire = undefined;
}

/**
 * Deadlines of one length. All have the same length, so they end in the order in which they start, and one timer is
 * enough. A deadline is meant for a slow Redis. But a process that was held up, by its own work or by others on the
 * machine, runs its timers before it reads the answers that have arrived. So each deadline is looked at twice before it
 * is missed. The second look comes a millisecond after the first, or as much later as the first came too late. By then
 * the process has read the answers that are there.
 *
 * These always hold:
 * - A deadline is met or missed once: `expire` is called at most once, and never after {@link meet}.
 * - `#waiting` is in the order of `endMs`.
 * - While a deadline waits, the timer runs. Where timers end with requests, nothing waits: each deadline has a timer.
 */
export class Deadlines {
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

  /** Ends a deadline because the answer is there. Returns false when the deadline was missed before. */
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

  /** Gives deadlines whose end has passed a second look, and misses those that have had it. */
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
