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
  /** For how many of the answers the server had to ask Redis. */
  askedRedis: number;
  /** What each of the servers admitted. */
  readonly admittedBy: number[];
}

/** Whether every request of a second that is over has been answered or has failed. */
export function isSettled({ offered, admitted, denied, failed }: Second): boolean {
  return admitted + denied + failed === offered;
}

export interface Reply {
  readonly admitted: boolean;
  /** 0 in an admission. */
  readonly factor: number;
  readonly askedRedis: boolean;
}

export interface LoadPlan {
  readonly requestsPerSecond: number;
  readonly seconds: number;
  /** Draws from [0, 1) for the gaps between requests. */
  readonly random: () => number;
  /** How many servers there are. They get the requests in turn. */
  readonly servers: number;
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
  readonly #send: (server: number) => Promise<Reply>;
  #sent = 0;
  readonly #inFlight = new Set<Promise<void>>();

  /** @param send sends one request to a server, the first of which is 0 */
  constructor(plan: LoadPlan, send: (server: number) => Promise<Reply>) {
    this.#plan = plan;
    this.#send = send;
  }

  /** Resolves when every second is over and every request has been answered or has failed. */
  async run(): Promise<void> {
    const { requestsPerSecond, seconds, random, servers } = this.#plan;
    const startMs = performance.now();
    for (let i = 0; i < seconds; i++) {
      await sleepUntil(startMs + i * 1_000);
      const admittedBy = Array.from({ length: servers }, () => 0);
      const second = { offered: 0, admitted: 0, denied: 0, failed: 0, factor: 0, askedRedis: 0, admittedBy };
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
    const server = this.#sent++ % this.#plan.servers;
    const asked: Promise<void> = this.#send(server)
      .then(
        (reply) => count(second, reply, server),
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

function count(second: Second, { admitted, factor, askedRedis }: Reply, server: number): void {
  if (askedRedis) second.askedRedis++;
  if (admitted) {
    second.admitted++;
    second.admittedBy[server]!++;
    return;
  }
  second.denied++;
  second.factor = factor;
}

async function sleepUntil(timeMs: number): Promise<void> {
  const waitMs = timeMs - performance.now();
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
}
