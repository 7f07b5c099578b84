// Processes with hybrid providers on virtual time: their real code, the real scripts on a real Redis, and between them a
// network that delays, loses answers and requests, and cuts off who crashes. Everything random comes from a seed.

import { AsyncLocalStorage } from "node:async_hooks";
import type { Redis } from "ioredis";
import type { Decision, Rate } from "trypema";
import { createHybridProvider, type HybridOptions, type HybridProvider, type IoredisClient } from "trypema/hybrid";
import { seededRandom } from "trypema/testing";

/** The process whose code runs, however deep in promises and timers; none in the code of the test. */
const present = new AsyncLocalStorage<SimulatedProcess>();

/** Gives timers and the system's clock to the simulations, for the code that runs in them; returns how to undo it. */
export function virtualizeTime(): () => void {
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const now = performance.now;
  globalThis.setTimeout = ((run: () => void, delayMs: number) => {
    const process = present.getStore();
    if (process === undefined) return set(run, delayMs);
    // As real timers are: in whole ms, and 1 at least.
    const timer = process.world.at(process.world.nowMs + Math.max(1, Math.trunc(delayMs)), run, process);
    timer.isTimer = true;
    return timer as never;
  }) as typeof setTimeout;
  globalThis.clearTimeout = ((timer: never) => {
    if ((timer as unknown) instanceof Event) (timer as Event).cancel();
    else clear(timer);
  }) as typeof clearTimeout;
  performance.now = () => present.getStore()?.world.nowMs ?? now.call(performance);
  return () => {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
    Reflect.deleteProperty(performance, "now");
  };
}

/** Until what follows at the same time from what has been done has been done too. */
const consequences = () => new Promise((resolve) => setImmediate(resolve));

class Event {
  timeMs: number;
  readonly run: () => unknown;
  readonly process: SimulatedProcess | undefined;
  isTimer = false;
  #cancelled = false;

  constructor(timeMs: number, run: () => unknown, process: SimulatedProcess | undefined) {
    this.timeMs = timeMs;
    this.run = run;
    this.process = process;
  }

  cancel(): void {
    this.#cancelled = true;
  }

  unref(): void {}

  async happen(): Promise<void> {
    if (this.#cancelled || this.process?.crashed) return;
    if (this.process !== undefined && this.process.stalledUntilMs > this.timeMs) {
      this.process.resume(this);
      return;
    }
    if (this.process === undefined) await this.run();
    else present.run(this.process, this.run);
    await consequences();
  }
}

export interface Network {
  /** The longest that a message takes; each way its own time. */
  delayMs: number;
  /** The share of requests that never reach Redis, and of answers that never come back. */
  lostRequests: number;
  lostAnswers: number;
  /** The share of these that the client sends again. */
  sentAgain: number;
}

/** A network that loses nothing. */
export const PERFECT = { delayMs: 1, lostRequests: 0, lostAnswers: 0, sentAgain: 0 };
/** How long a lease may be spent, with windows of up to ten seconds. */
export const LEASE_MS = 1_000;

const GIVES_UP_MS = 1_000;
const AFTER_TIMERS_MS = 1e-6;
/** Far from what the processes' clocks say. */
const SERVER_CLOCK_MS = 1_700_000_000_000;

/** One Redis and its processes. */
export class World {
  nowMs = 0;
  /** How many arguments the longest request had. */
  longestRequest = 0;
  readonly random: () => number;
  readonly network: Network;
  readonly #redis: Redis;
  readonly #events: Event[] = [];

  constructor(seed: number, redis: Redis, network: Network) {
    this.random = seededRandom(seed);
    this.network = network;
    this.#redis = redis;
  }

  at(timeMs: number, run: () => unknown, process?: SimulatedProcess): Event {
    const event = new Event(timeMs, run, process);
    this.put(event);
    return event;
  }

  put(event: Event): void {
    const before = this.#events.findLastIndex((other) => other.timeMs <= event.timeMs);
    this.#events.splice(before + 1, 0, event);
  }

  async runUntil(endMs: number): Promise<void> {
    await consequences();
    while (this.#events.length > 0 && this.#events[0]!.timeMs <= endMs) {
      const event = this.#events.shift()!;
      this.nowMs = event.timeMs;
      await event.happen();
    }
    this.nowMs = endMs;
  }

  /** Whether nothing will ever happen again by itself. */
  get isStill(): boolean {
    return this.#events.length === 0;
  }

  /** Goes on until `promise` is settled. */
  async settled<T>(promise: Promise<T>): Promise<T> {
    let waiting = true;
    const done = () => {
      waiting = false;
    };
    promise.then(done, done);
    while (waiting) await this.runUntil(this.nowMs + 10);
    return promise;
  }

  /** One of `values`. */
  pick<T>(...values: readonly T[]): T {
    return values[Math.floor(this.random() * values.length)]!;
  }

  /** How long until the next of what happens `perSecond` times a second by chance. */
  pause(perSecond: number): number {
    return (-Math.log(1 - this.random()) * 1_000) / perSecond;
  }

  /** Runs a script now, by the server's clock instead of the caller's, which comes last. */
  async execute(method: "evalsha" | "eval", args: (string | number)[]): Promise<unknown> {
    this.longestRequest = Math.max(this.longestRequest, args.length);
    const withClock = [...args.slice(0, -1), SERVER_CLOCK_MS + this.nowMs] as unknown as [string, number, ...string[]];
    return this.#redis[method](...withClock);
  }
}

/** A call that was admitted. */
export interface Admission {
  /** When it was decided; by Redis, where that was asked. */
  readonly timeMs: number;
  readonly key: string;
  readonly count: number;
  readonly degraded: boolean;
}

export class SimulatedProcess {
  readonly world: World;
  readonly provider: HybridProvider;
  readonly admitted: Admission[] = [];
  /** How many calls had to wait, and how long at most. */
  waits = 0;
  longestWaitMs = 0;
  /** How many scripts were sent to Redis. */
  requests = 0;
  crashed = false;
  /** Until then nothing of it runs. */
  stalledUntilMs = 0;
  #lastRequestMs = 0;
  #lastAnswerMs = 0;
  /** When Redis ran the last script that was answered, by the Redis key. */
  readonly #answeredMs = new Map<string, number>();

  /** @param drift how much faster its clock goes than the others */
  constructor(world: World, options: HybridOptions, skewMs = 0, drift = 0) {
    this.world = world;
    const client: IoredisClient = {
      evalsha: (...args) => this.#send("evalsha", args),
      eval: (...args) => this.#send("eval", args),
    };
    const clock = () => skewMs + world.nowMs * (1 + drift);
    this.provider = present.run(this, () => createHybridProvider(client, { random: world.random, ...options, clock }));
  }

  call(strategy: "absolute" | "suppressed", key: string, rate: Rate, count = 1): void {
    const sentMs = this.world.nowMs;
    const decision = present.run(this, () => this.provider[strategy].inc(key, rate, count));
    if (!(decision instanceof Promise)) {
      this.#note(decision, sentMs, key, count);
      return;
    }
    this.waits++;
    decision.then((late) => {
      this.longestWaitMs = Math.max(this.longestWaitMs, this.world.nowMs - sentMs);
      const isDecidedThere = !late.degraded && this.#answeredMs.has(key);
      this.#note(late, isDecidedThere ? this.#answeredMs.get(key)! : this.world.nowMs, key, count);
    });
  }

  /** Runs it now, and again after each pause, for as long as the process lives. */
  repeat(run: () => void, pauseMs: () => number): void {
    run();
    const { world } = this;
    world.at(world.nowMs + pauseMs(), () => this.repeat(run, pauseMs), this);
  }

  /** Runs what a program would, as this process. */
  do<T>(run: () => T): T {
    return present.run(this, run);
  }

  /** Puts off what happens while it is stalled: its timers come first then, as in Node, and what has arrived after them. */
  resume(event: Event): void {
    event.timeMs = this.stalledUntilMs + (event.isTimer ? 0 : AFTER_TIMERS_MS);
    this.world.put(event);
  }

  #note({ allowed, degraded }: Decision, timeMs: number, key: string, count: number): void {
    if (allowed) this.admitted.push({ timeMs, key, count, degraded });
  }

  /** In order, as on one connection. */
  #send(method: "evalsha" | "eval", args: (string | number)[]): Promise<unknown> {
    this.requests++;
    const { world } = this;
    const { delayMs, lostRequests, lostAnswers } = world.network;
    this.#lastRequestMs = Math.max(this.#lastRequestMs, world.nowMs + world.random() * delayMs);
    return new Promise((resolve, reject) => {
      const arrive = async () => {
        if (world.random() < lostRequests) return breakOff();
        const executedMs = world.nowMs;
        const outcome = await world.execute(method, args).then(
          (reply) => () => {
            const [, , name] = args as string[];
            this.#answeredMs.set(name!.slice(name!.lastIndexOf(":") + 1, -1), executedMs);
            resolve(reply);
          },
          (error) => () => reject(error),
        );
        if (world.random() < lostAnswers) return breakOff();
        this.#lastAnswerMs = Math.max(this.#lastAnswerMs, world.nowMs + world.random() * delayMs);
        world.at(this.#lastAnswerMs, outcome, this);
      };
      // The client hears of it soon, or only when it gives the connection up; then it may send it again.
      const breakOff = () => {
        const heardMs = world.nowMs + (world.random() < 0.5 ? delayMs : GIVES_UP_MS);
        const again = world.random() < world.network.sentAgain;
        world.at(heardMs, again ? arrive : () => reject(new Error("Connection is closed.")), this);
      };
      world.at(this.#lastRequestMs, arrive);
    });
  }
}

/** What Redis says itself. */
export async function totalOf(world: World, key: string, options: HybridOptions): Promise<number> {
  const observer = new SimulatedProcess(world, { ...options, onFailure: "throw" });
  return (await world.settled(observer.do(() => observer.provider.absolute.get(key)))).total;
}

/** The most that was admitted within any `spanMs`. */
export function mostWithin(admitted: readonly Admission[], spanMs: number): number {
  const inOrder = admitted.toSorted((a, b) => a.timeMs - b.timeMs);
  let most = 0;
  let sum = 0;
  let start = 0;
  for (const { timeMs, count } of inOrder) {
    sum += count;
    for (; timeMs - inOrder[start]!.timeMs >= spanMs; start++) sum -= inOrder[start]!.count;
    most = Math.max(most, sum);
  }
  return most;
}
