// Tells an operator what the limiters of a guard did: the metrics, `onDecision` and `onError`. Nothing here throws, so
// that no request suffers from it.

import { isPromise } from "./awaitable.ts";
import type { Charge } from "./charge.ts";
import type { HttpLimiter } from "./limiter.ts";
import type { FailureKind } from "./metrics.ts";
import type { GuardOptions } from "./options.ts";
import type { HttpRequest } from "./request.ts";

/** What metrics are told of a request that a limiter has nothing to do with. */
const SKIPPED = { outcome: "skipped", admitted: true, decision: undefined } as const;

export class Reporter<Raw> {
  readonly #options: Pick<GuardOptions<Raw>, "metrics" | "onError">;

  constructor(options: Pick<GuardOptions<Raw>, "metrics" | "onError">) {
    this.#options = options;
  }

  /** Reports what a limiter has decided; undefined when it has skipped the request. */
  observe(charge: Charge | undefined, limiter: HttpLimiter<Raw>, request: HttpRequest<Raw>, durationMs: number): void {
    const { name, strategy, shadow, definition } = limiter;
    const { outcome, admitted, decision } = charge ?? SKIPPED;
    try {
      const degraded = decision?.degraded ?? outcome === "unavailable";
      const counted: unknown = this.#options.metrics?.decided({
        limiter: name,
        strategy,
        outcome,
        admitted,
        shadow,
        degraded,
        durationMs,
      });
      this.#reportRejection(counted, name);
      if (charge === undefined) return;
      const { key, cost, error } = charge;
      const told = definition.onDecision?.({
        limiter: name,
        request,
        outcome: charge.outcome,
        admitted,
        shadow,
        decision,
        key,
        cost,
        error,
      });
      this.#reportRejection(told, name);
    } catch (thrown) {
      this.report(thrown, "callback", name);
    }
  }

  /** Reports a failure that no request is answered with. */
  report(error: unknown, kind: FailureKind, limiter: string): void {
    this.count(kind, limiter);
    try {
      const { onError } = this.#options;
      if (onError !== undefined) ignoreRejection(onError(error, kind, limiter));
      else if (kind === "callback") console.error(error);
    } catch {
      // There is nobody left to tell.
    }
  }

  #reportRejection(result: unknown, limiter: string): void {
    if (isPromise(result)) result.then(undefined, (reason) => this.report(reason, "callback", limiter));
  }

  /** Counts a failure that a request is answered with. */
  count(kind: FailureKind, limiter: string): void {
    try {
      ignoreRejection(this.#options.metrics?.failed(limiter, kind));
    } catch {
      // The metrics failed, so their own failure can't be counted.
    }
  }
}

/** For the result of a callback whose failure can be reported to nobody. The callback may be an async function. */
function ignoreRejection(result: unknown): void {
  if (isPromise(result)) result.then(undefined, () => {});
}
