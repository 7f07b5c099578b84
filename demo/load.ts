// Load that does not wait for its replies, as that of many independent users doesn't: requests
// leave when they are due, however the server fares.

/** What became of the requests that were due in one second. */
export interface Second {
  offered: number;
  admitted: number;
  denied: number;
  failed: number;
  /** The suppression factor in the latest denial; 0 without one. */
  factor: number;
}

/** Whether every request of a second that is over has been answered or has failed. */
export function isSettled({ offered, admitted, denied, failed }: Second): boolean {
  return admitted + denied + failed === offered;
}

export type Reply = { readonly admitted: true } | { readonly admitted: false; readonly factor: number };

export interface LoadPlan {
  readonly requestsPerSecond: number;
  readonly seconds: number;
  /** Draws from [0, 1) for the gaps between requests. */
  readonly random: () => number;
}

/** Beyond this many unanswered requests the next ones fail unsent: nothing can pile up without end. */
const MAX_IN_FLIGHT = 2_000;

/** When the requests of a Poisson process are due, in ms from the start of a second, until its end. */
export function* arrivals(requestsPerSecond: number, random: () => number): Generator<number> {
  let dueMs = 0;
  for (;;) {
    dueMs += (-Math.log(1 - random()) * 1_000) / requestsPerSecond;
    if (dueMs >= 1_000) return;
    yield dueMs;
  }
}

export class Load {
  /** The seconds begun so far; those whose replies are outstanding still change. */
  readonly seconds: Second[] = [];
  /** Why the latest of the failed requests failed. */
  failure: string | undefined;
  readonly #plan: LoadPlan;
  readonly #send: () => Promise<Reply>;
  readonly #inFlight = new Set<Promise<void>>();

  constructor(plan: LoadPlan, send: () => Promise<Reply>) {
    this.#plan = plan;
    this.#send = send;
  }

  /** Resolves when every second is over and every request has been answered or has failed. */
  async run(): Promise<void> {
    const { requestsPerSecond, seconds, random } = this.#plan;
    const startMs = performance.now();
    for (let i = 0; i < seconds; i++) {
      await sleepUntil(startMs + i * 1_000);
      const second = { offered: 0, admitted: 0, denied: 0, failed: 0, factor: 0 };
      this.seconds.push(second);
      for (const dueMs of arrivals(requestsPerSecond, random)) {
        await sleepUntil(startMs + i * 1_000 + dueMs);
        this.#offer(second);
      }
    }
    await sleepUntil(startMs + seconds * 1_000);
    await Promise.all(this.#inFlight);
  }

  #offer(second: Second): void {
    second.offered++;
    if (this.#inFlight.size >= MAX_IN_FLIGHT) {
      this.#fail(second, `${MAX_IN_FLIGHT} requests are unanswered`);
      return;
    }
    const asked: Promise<void> = this.#send()
      .then(
        (reply) => count(second, reply),
        (error: unknown) => this.#fail(second, error instanceof Error ? error.message : String(error)),
      )
      .finally(() => this.#inFlight.delete(asked));
    this.#inFlight.add(asked);
  }

  #fail(second: Second, failure: string): void {
    second.failed++;
    this.failure = failure;
  }
}

function count(second: Second, reply: Reply): void {
  if (reply.admitted) {
    second.admitted++;
    return;
  }
  second.denied++;
  second.factor = reply.factor;
}

async function sleepUntil(timeMs: number): Promise<void> {
  const waitMs = timeMs - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
}
