// The circuit breaker between the limiters and Redis. A Redis that is away, hangs or refuses must not harm callers. So
// every call has a deadline, whatever the client's own queue does. After repeated failures the breaker refuses calls at
// once. It lets single calls through, the probes, to see whether Redis is back.
//
//   state    what happens                                      next state
//   closed   FAILURES_TO_OPEN failures in a row                open
//   open     a call, PROBE_INTERVAL_MS after the last failure  probing: the call is the probe
//   probing  the probe fails                                   open
//   probing  a call, UNANSWERED_INTERVAL_MS after the probe    probing: the call is the next probe
//   any      Redis answers any call                            closed
//
// A deadline that the probe misses doesn't end the probing, because the client may still hold the call. Where timers
// end with requests, the breaker is never probing but stays open: a request that ends takes its call with it, and that
// call is never answered.

import { systemClock } from "../core/clock.ts";
import { TrypemaError } from "../core/errors.ts";
import { TIMERS_END_WITH_REQUESTS } from "../core/timer.ts";
import { Watch } from "../core/watch.ts";
import { Deadline, Deadlines } from "./deadlines.ts";
import { failureOf, timeoutError } from "./failure.ts";

/** How many failures in a row open the breaker. */
const FAILURES_TO_OPEN = 5;
/** How long an open breaker waits before the next probe. */
const PROBE_INTERVAL_MS = 500;
/** The same while the last probe is unanswered, so that few pile up in a client that never gives up on a call. */
const UNANSWERED_INTERVAL_MS = 10_000;

/** A call that waits for Redis. One of its methods is called, once. Neither throws. */
export abstract class PendingCall extends Deadline {
  isProbe = false;

  abstract resolve(reply: unknown): void;
  abstract reject(error: TrypemaError): void;
}

/** A call whose reply is promised. */
export class PromisedCall<Reply> extends PendingCall {
  readonly #resolve: (reply: Reply) => void;
  readonly #reject: (error: TrypemaError) => void;

  constructor(resolve: (reply: Reply) => void, reject: (error: TrypemaError) => void) {
    super();
    this.#resolve = resolve;
    this.#reject = reject;
  }

  resolve(reply: unknown): void {
    this.#resolve(reply as Reply);
  }

  reject(error: TrypemaError): void {
    this.#reject(error);
  }
}

/**
 * These always hold:
 * - A breaker is closed while fewer than FAILURES_TO_OPEN calls have failed since the last answer.
 * - A closed breaker has no unanswered probe.
 * - A closed breaker refuses nothing.
 */
export class Breaker {
  readonly #timeoutMs: number;
  readonly #deadlines: Deadlines<PendingCall>;
  readonly #watch: Watch;
  #failures = 0;
  #nextProbeMs = 0;
  /** When the probe was sent that is unanswered; minus infinity when there is none. */
  #unansweredProbeMs = Number.NEGATIVE_INFINITY;

  constructor(timeoutMs: number, watch = new Watch(false)) {
    this.#timeoutMs = timeoutMs;
    this.#watch = watch;
    this.#deadlines = new Deadlines(timeoutMs, (call) => this.#miss(call));
  }

  /**
   * What `send` resolves to, within the deadline.
   *
   * @param isOwed whether it is sent even while calls are refused
   * @throws {TrypemaError} `BACKEND_TIMEOUT`, `BACKEND_UNAVAILABLE`, `BACKEND_SCRIPT`
   */
  run<Reply>(send: () => Promise<Reply>, isOwed = false): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const call = new PromisedCall(resolve, reject);
      this.begin(call, isOwed);
      send().then(
        (reply) => this.answer(call, reply),
        (error: unknown) => this.fail(call, error),
      );
    });
  }

  /**
   * Begins a call: its deadline runs from now on. The call has to be answered or to fail when it is over.
   *
   * @throws {TrypemaError} `BACKEND_UNAVAILABLE` if the call is refused
   */
  begin(call: PendingCall, isOwed = false): void {
    if (this.isOpen && !isOwed) {
      this.#startProbe();
      call.isProbe = true;
    }
    this.#deadlines.start(call);
  }

  answer(call: PendingCall, reply: unknown): void {
    // An answer that comes after its deadline also says that Redis is there.
    if (this.isOpen) this.#watch.noteClosed();
    if (this.#watch.isDegraded) this.#watch.noteAnswer();
    this.#failures = 0;
    this.#unansweredProbeMs = Number.NEGATIVE_INFINITY;
    if (this.#deadlines.meet(call)) call.resolve(reply);
  }

  /** `error` is what the client failed with. */
  fail(call: PendingCall, error: unknown): void {
    if (call.isProbe) this.#unansweredProbeMs = Number.NEGATIVE_INFINITY;
    if (!this.#deadlines.meet(call)) return;
    const failure = failureOf(error);
    this.#countFailure(failure);
    call.reject(failure);
  }

  /** Sees to it that deadlines pass which began earlier; see `Deadlines.keepTimer`. */
  keepTimer(): void {
    this.#deadlines.keepTimer();
  }

  /** Whether calls are refused, except for probes. */
  get isOpen(): boolean {
    return this.#failures >= FAILURES_TO_OPEN;
  }

  /** Whether a call now would be refused. */
  get refuses(): boolean {
    return this.isOpen && systemClock() < Math.max(this.#nextProbeMs, this.#unansweredProbeMs + UNANSWERED_INTERVAL_MS);
  }

  /** @throws {TrypemaError} `BACKEND_UNAVAILABLE` if a call now would be refused */
  checkAccepts(): void {
    if (!this.refuses) return;
    throw new TrypemaError(
      "BACKEND_UNAVAILABLE",
      // One text for all calls of an outage, so that tools which group messages keep them together.
      `Redis failed at least ${FAILURES_TO_OPEN} times in a row, so calls are not sent: ` +
        `one call in ${PROBE_INTERVAL_MS} ms tries whether Redis is back`,
    );
  }

  #miss(call: PendingCall): void {
    const error = timeoutError(this.#timeoutMs);
    this.#watch.noteTimeout();
    this.#countFailure(error);
    call.reject(error);
  }

  #startProbe(): void {
    this.checkAccepts();
    this.#nextProbeMs = systemClock() + PROBE_INTERVAL_MS;
    if (!TIMERS_END_WITH_REQUESTS) this.#unansweredProbeMs = systemClock();
  }

  #countFailure(error: TrypemaError): void {
    this.#watch.counts.failures++;
    // A script that fails is about its key, not about Redis.
    if (error.code === "BACKEND_SCRIPT") return;
    if (++this.#failures === FAILURES_TO_OPEN) this.#watch.noteOpened(error);
    this.#nextProbeMs = systemClock() + PROBE_INTERVAL_MS;
  }
}
