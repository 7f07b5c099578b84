// Deadlines of one length, for calls to Redis.

import { systemClock } from "../core/clock.ts";
import { BackgroundTimer, TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";

/**
 * What has to happen in time. A call that waits is its own deadline, because thousands of calls may wait at once: one
 * object for each costs the garbage collector less than a deadline and a call.
 */
export class Deadline {
  endMs = 0;
  /** Whether its end has passed once, after which it gets a second look. */
  isPutOff = false;
  /** Whether it is neither met nor missed yet. */
  waits = false;
  /** Its own timer, where timers can't be shared. Not by its type, which a program without Node's types lacks. */
  timer: unknown = undefined;
  /** Those that end before and after it, of those that wait. */
  before: Deadline | undefined = undefined;
  after: Deadline | undefined = undefined;
}

/** So many deadlines are missed in a row at most: what their calls do then would hold the event loop up. */
const MOST_AT_ONCE = 500;

/**
 * Deadlines of one length. All have the same length, so they end in the order in which they start, and one timer is
 * enough. A deadline is meant for a slow Redis. But a process that was held up, by its own work or by others on the
 * machine, runs its timers before it reads the answers that have arrived. So each deadline is looked at twice before it
 * is missed. The second look comes a millisecond after the first, or as much later as the first came too late. By then
 * the process has read the answers that are there.
 *
 * These always hold:
 * - A deadline is met or missed once: `onMissed` is told of it at most once, and never after {@link meet}.
 * - The deadlines that wait are a list from `#first` to `#last`, in the order of `endMs`. A deadline that is met or
 *   missed is in no list, so that a long deadline keeps nothing of the calls that were answered.
 * - While a deadline waits, the timer runs. Where timers end with requests, nothing waits: each deadline has a timer.
 */
export class Deadlines<Of extends Deadline> {
  readonly #timeoutMs: number;
  readonly #onMissed: (deadline: Of) => void;
  #first: Deadline | undefined = undefined;
  #last: Deadline | undefined = undefined;
  readonly #timer = new BackgroundTimer(() => this.#sweep());
  /** When the timer is to fire. */
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(timeoutMs: number, onMissed: (deadline: Of) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onMissed = onMissed;
  }

  /** Starts a deadline, which never waited before. */
  start(deadline: Of): void {
    deadline.endMs = systemClock() + this.#timeoutMs;
    deadline.waits = true;
    if (TIMERS_END_WITH_REQUESTS) {
      deadline.timer = setTimeout(() => this.#miss(deadline), this.#timeoutMs);
    } else {
      this.#insertAfter(this.#last, deadline);
      this.#startTimer(deadline.endMs, this.#timeoutMs);
    }
  }

  /** Ends a deadline because the answer is there. Returns false when the deadline was missed before. */
  meet(deadline: Of): boolean {
    if (!deadline.waits) return false;
    this.#end(deadline);
    return true;
  }

  /** Starts the timer anew if it was lost, because tests have put false timers in place of real ones, or back. */
  keepTimer(): void {
    if (this.#first !== undefined) this.#startTimer(this.#first.endMs, Math.max(1, this.#first.endMs - systemClock()));
  }

  #miss(deadline: Deadline): void {
    this.#end(deadline);
    this.#onMissed(deadline as Of);
  }

  #end(deadline: Deadline): void {
    deadline.waits = false;
    if (deadline.timer !== undefined) clearTimeout(deadline.timer as ReturnType<typeof setTimeout>);
    else this.#remove(deadline);
  }

  #startTimer(timerMs: number, delayMs: number): void {
    this.#timerMs = Math.min(this.#timerMs, timerMs);
    this.#timer.start(delayMs);
  }

  #sweep(): void {
    // In tests with false timers the clock stands still, or goes on by itself, and the timer is right.
    const nowMs = Math.max(systemClock(), this.#timerMs);
    this.#timerMs = Number.POSITIVE_INFINITY;
    if (this.#first === undefined) return;
    const lateMs = nowMs - this.#first.endMs;
    this.#putOffOver(nowMs, nowMs + Math.max(1, Math.min(lateMs, this.#timeoutMs)));
    for (let missed = 0; missed < MOST_AT_ONCE; missed++) {
      const first = this.#first;
      if (first === undefined || first.endMs > nowMs) break;
      this.#miss(first);
    }
    if (this.#first === undefined) return;
    const delayMs = Math.max(1, Math.ceil(this.#first.endMs - nowMs));
    this.#startTimer(nowMs + delayMs, delayMs);
  }

  /** Gives the deadlines whose end has passed for the first time a second look, at `endMs`. */
  #putOffOver(nowMs: number, endMs: number): void {
    const over: Deadline[] = [];
    for (let at = this.#first; at !== undefined && at.endMs <= nowMs; at = at.after) if (!at.isPutOff) over.push(at);
    for (const deadline of over) this.#remove(deadline);
    let before: Deadline | undefined;
    for (let at = this.#first; at !== undefined && at.endMs <= endMs; at = at.after) before = at;
    for (const deadline of over) {
      deadline.endMs = endMs;
      deadline.isPutOff = true;
      this.#insertAfter(before, deadline);
      before = deadline;
    }
  }

  #insertAfter(before: Deadline | undefined, deadline: Deadline): void {
    const after = before === undefined ? this.#first : before.after;
    deadline.before = before;
    deadline.after = after;
    if (before === undefined) this.#first = deadline;
    else before.after = deadline;
    if (after === undefined) this.#last = deadline;
    else after.before = deadline;
  }

  #remove(deadline: Deadline): void {
    const { before, after } = deadline;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    deadline.before = undefined;
    deadline.after = undefined;
  }
}
