// Processes that call a provider on Redis, in virtual time. Each has the real code and a connection of its own.

import {
  type Awaitable,
  createLimits,
  type Decision,
  type LimitDefinition,
  type Limiter,
  type Limits,
  type Provider,
  type Rate,
} from "trypema";
import { type CommandClient, createHybridProvider, type HybridOptions, type HybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisOptions, type RedisProvider } from "trypema/redis";
import type { HybridLimiter } from "../../../src/hybrid/limiter.ts";
import type { Admission } from "./admissions.ts";
import { unsoundnessOf } from "./holder-soundness.ts";
import { Connection } from "./network.ts";
import { Actor, type Clock, EXACT } from "./timeline.ts";
import type { World } from "./world.ts";

/** How long a lease may be spent, with windows of up to ten seconds. */
export const LEASE_MS = 1_000;
/** How long Redis counts such a lease before the window of its last hits begins. */
export const SET_ASIDE_MS = 1_050;

/** Many round trips of the perfect network, and short, so that a lost answer is noticed soon. */
const TIMEOUT_MS = 50;

export abstract class SimulatedProcess<P extends Provider = Provider> extends Actor {
  readonly world: World;
  readonly provider: P;
  readonly admitted: Admission[] = [];
  /** How many calls had to wait, and how long at most. */
  waits = 0;
  longestWaitMs = 0;
  /** The limiters that it takes from. */
  protected readonly taking: Limiter[] = [];
  readonly #connection: Connection;

  constructor(world: World, open: (client: CommandClient) => P, clock: Clock) {
    super(world, clock);
    this.world = world;
    this.#connection = new Connection(world, this);
    this.provider = this.do(() => open(this.#connection));
  }

  /** How many scripts it has sent to Redis. */
  get requests(): number {
    return this.#connection.requests;
  }

  /** How many reports about one key were on their way at once, at most. */
  get mostReports(): number {
    return this.#connection.mostReports;
  }

  call(strategy: "absolute" | "suppressed", key: string, rate: Rate, count = 1): void {
    this.#inc(this.provider[strategy], key, rate, count);
  }

  /** Calls one of `limits` alone. What it has admitted is noted under its name and the key. */
  callLimit(limits: Limits<P, string>, name: string, key: string, rate: Rate, count = 1): void {
    const limiter = this.do(() => limits.limiter(name));
    this.#inc(limiter, key, rate, count, name);
  }

  #inc(limiter: Limiter, key: string, rate: Rate, count: number, limit?: string): void {
    const sentMs = this.world.nowMs;
    const decision = this.do(() => limiter.inc(key, rate, count));
    if (!(decision instanceof Promise)) {
      this.note(decision, sentMs, key, count, limit);
      return;
    }
    this.waits++;
    decision.then((late) => {
      const { nowMs } = this.world;
      this.longestWaitMs = Math.max(this.longestWaitMs, nowMs - sentMs);
      const executedMs = late.degraded ? undefined : this.#connection.executedMs.get(key);
      // A call may be decided with the answer to a request that was made before the call.
      this.note(late, Math.max(sentMs, executedMs ?? nowMs), key, count, limit);
    });
  }

  /** Limits of the process, which it takes from. */
  limits(definitions: Readonly<Record<string, LimitDefinition>>): Limits<P, string> {
    const limits = this.do(() => createLimits(this.provider, definitions));
    for (const name of Object.keys(definitions)) this.taking.push(this.do(() => limits.limiter(name)));
    return limits;
  }

  /** Takes from those of `limits` that are named. What each has admitted is noted under its name and the key. */
  take(limits: Limits<P, string>, names: readonly string[], key: string, count = 1): void {
    const sentMs = this.world.nowMs;
    const note = (taken: { decisions: Readonly<Record<string, Decision>>; allowed: boolean }, timeMs: number) => {
      for (const [name, { degraded }] of Object.entries(taken.decisions)) {
        this.note({ allowed: taken.allowed, degraded }, timeMs, key, count, name);
      }
    };
    const taken = this.do(() => limits.take(Object.fromEntries(names.map((name) => [name, key])), count)) as Awaitable<
      Parameters<typeof note>[0]
    >;
    if (!(taken instanceof Promise)) {
      note(taken, sentMs);
      return;
    }
    taken.then((late) => {
      const isDegraded = Object.values(late.decisions).some(({ degraded }) => degraded);
      const executedMs = isDegraded ? undefined : this.#connection.executedMs.get(key);
      note(late, Math.max(sentMs, executedMs ?? this.world.nowMs));
    });
  }

  /** Brings its last request to Redis once more, as a network may. */
  sendLastAgain(): Promise<unknown> {
    return this.#connection.sendLastAgain();
  }

  protected note(
    { allowed, degraded }: Pick<Decision, "allowed" | "degraded">,
    timeMs: number,
    key: string,
    count: number,
    limit?: string,
  ): void {
    if (!allowed) return;
    this.admitted.push({ timeMs, key, count, degraded, limit });
    // A process that stalls while an answer is under way admits the call when it goes on, and reports it as of then.
    // The lease that it was granted for the call may be gone by then, and be another process's.
    const isLate = this.world.nowMs - timeMs > LEASE_MS;
    if (degraded || isLate) this.world.overdrawn.add(key);
  }
}

export class HybridProcess extends SimulatedProcess<HybridProvider> {
  constructor(world: World, options: HybridOptions = {}, clock = EXACT) {
    const { prefix, random } = world;
    const open = (client: CommandClient) =>
      createHybridProvider(client, { prefix, random, timeoutMs: TIMEOUT_MS, ...options });
    super(world, open, clock);
  }

  /** Calls only if it can decide by itself; says whether it could. */
  tryCall(strategy: "absolute" | "suppressed", key: string, rate: Rate, count = 1): boolean {
    const decision = this.do(() => this.provider[strategy].tryInc(key, rate, count));
    if (decision !== undefined) this.note(decision, this.world.nowMs, key, count);
    return decision !== undefined;
  }

  /** Checks what it has of each key. */
  override assertSound(): void {
    const { absolute, suppressed } = this.provider;
    for (const limiter of [absolute, suppressed, ...this.taking]) {
      const capacity = limiter === absolute ? this.world.capacity : undefined;
      for (const holder of (limiter as unknown as HybridLimiter).holders) {
        const problems = unsoundnessOf(holder, this.world.overdrawn.has(holder.key) ? undefined : capacity);
        if (problems.length > 0) throw new Error(`a process has of ${holder.key}: ${problems.join("; ")}`);
      }
    }
  }
}

/** It denies calls that Redis doesn't decide. */
export class RedisProcess extends SimulatedProcess<RedisProvider> {
  constructor(world: World, options: RedisOptions = {}, clock = EXACT) {
    const { prefix, random } = world;
    // The calls of a batch have a time each, and the server of a world replaces one.
    const alone = { batch: false, timeoutMs: TIMEOUT_MS, onFailure: "deny" } as const;
    const open = (client: CommandClient) => createRedisProvider(client, { prefix, random, ...alone, ...options });
    super(world, open, clock);
  }
}

/** The total that Redis has of a key: a process that knows nothing yet has to ask. */
export async function totalOf(world: World, key: string, options: HybridOptions = {}): Promise<number> {
  const observer = new HybridProcess(world, { ...options, onFailure: "throw" });
  return (await world.settled(observer.do(() => observer.provider.absolute.get(key)))).total;
}
