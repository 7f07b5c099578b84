// Random fleets of processes in simulated worlds: who calls what, and what goes wrong.

import { type LimitDefinition, perSecond, type Rate } from "trypema";
import type { HybridOptions } from "trypema/hybrid";
import type { Admission } from "./admissions.ts";
import { HybridProcess, LEASE_MS, RedisProcess, type SimulatedProcess } from "./process.ts";
import type { World } from "./world.ts";

/** How many simulations go on at once: each waits for Redis most of the time. */
const AT_ONCE = 32;

export interface Seeds {
  readonly firstSeed: number;
  readonly seeds: number;
}

/** `count` cases of `seeds` each: little enough for a machine that is ten times slower. */
export function cases(count: number, seeds: number): Seeds[] {
  return Array.from({ length: count }, (_, i) => ({ firstSeed: 1 + i * seeds, seeds }));
}

/** Runs as many seeds as a case has; what fails names its seed. */
export async function simulate({ firstSeed, seeds }: Seeds, schedule: (seed: number) => Promise<void>): Promise<void> {
  let next = firstSeed;
  async function runAndRun(): Promise<void> {
    while (next < firstSeed + seeds) {
      const seed = next++;
      await schedule(seed).catch((cause: Error) => {
        next = Number.POSITIVE_INFINITY;
        throw new Error(`seed ${seed}: ${cause.message}`, { cause });
      });
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, runAndRun));
}

/** Quartz is that good. */
export const DRIFT = 1e-4;

/** What may be wrong in a world. */
export function faultsOf(world: World): void {
  world.network.delayMs = world.pick(0.1, 2, 20, 40);
  world.network.repeated = world.pick(0, 0, 0.3);
  if (world.random() < 0.5) return;
  world.network.lostRequests = world.pick(0, 0.02, 0.2);
  world.network.lostAnswers = world.pick(0, 0.02, 0.2);
  world.network.sentAgain = world.pick(0, 0.5);
}

export const KEYS = ["a", "b", "c", "d"];
/** Which keys the processes of a world call. The reports about four of them share scripts. */
const CALLED = [["a", "a", "b"], KEYS];

const LAST_CALLS = 10;

type Strategy = "absolute" | "suppressed";

/** What a process of a fleet does. */
interface Habits {
  readonly callsPerSecond: number;
  /** What it calls; `absolute` if that isn't said. */
  readonly strategy?: Strategy;
  /**
   * The share of processes that stall or are suspended for longer than a lease, and of those that crash; another takes
   * the place.
   */
  readonly stalls: number;
  readonly crashes: number;
  /** When it crashes, it does so before this time. */
  readonly crashesWithinMs: number;
}

/** Processes that offer calls at random times. */
export class Fleet {
  readonly processes: SimulatedProcess[] = [];
  readonly #world: World;
  readonly #rate: Rate;
  readonly #options: HybridOptions;
  readonly #keys: readonly string[];
  /** What its processes take from, where they don't call; all of one capacity. */
  readonly #limits: Readonly<Record<string, LimitDefinition>> | undefined;
  /** Before that there may be something to see. */
  endMs = 0;
  #isCalling = true;

  constructor(world: World, rate: Rate, options: HybridOptions, limits?: Readonly<Record<string, LimitDefinition>>) {
    this.#world = world;
    this.#limits = limits;
    this.#rate = rate;
    this.#options = options;
    this.#keys = world.pick(...CALLED);
  }

  get admitted(): Admission[] {
    return this.processes.flatMap(({ admitted }) => admitted);
  }

  stopCalling(): void {
    this.#isCalling = false;
  }

  startHybrid(habits: Habits): void {
    const call = this.#start(new HybridProcess(this.#world, this.#options, this.#clock()), habits);
    const process = this.processes.at(-1)!;
    const world = this.#world;
    if (world.random() < habits.stalls) {
      world.at(world.nowMs + world.random() * 300, () => {
        const goesOnMs = world.nowMs + LEASE_MS + world.random() * 500;
        if (world.random() < 0.5) process.stalledUntilMs = goesOnMs;
        else this.#suspend(process, goesOnMs);
        this.endMs = goesOnMs + 500;
      });
    }
    if (world.random() > habits.crashes) return;
    world.at(world.nowMs + world.random() * habits.crashesWithinMs, () => {
      // What it spends last it can't report.
      for (let i = 0; i < LAST_CALLS; i++) call();
      process.crashed = true;
      this.startHybrid(habits);
    });
  }

  #suspend(process: SimulatedProcess, wakeMs: number): void {
    process.suspendUntil(wakeMs);
    // What it has counted is reported when it wakes, as if it had just been made.
    for (const key of this.#keys) this.#world.overdrawn.add(key);
  }

  /** A process that asks Redis for each call, beside the hybrid ones. */
  startRedis(callsPerSecond: number, strategy: Strategy = "absolute"): void {
    const { syncIntervalMs: _, ...options } = this.#options;
    this.#start(new RedisProcess(this.#world, options, this.#clock()), { callsPerSecond, strategy });
  }

  #clock() {
    const world = this.#world;
    return { aheadMs: world.random() * 1e6, drift: (2 * world.random() - 1) * DRIFT };
  }

  /** Has a process call or take at random times. Returns what makes one call more. */
  #start(
    process: SimulatedProcess,
    { callsPerSecond, strategy = "absolute" }: Pick<Habits, "callsPerSecond" | "strategy">,
  ): () => void {
    const world = this.#world;
    this.processes.push(process);
    const call = this.#limits === undefined ? () => this.#call(process, strategy) : this.#takes(process, this.#limits);
    const callAndCall = () => {
      if (!this.#isCalling) return;
      for (let burst = world.pick(1, 1, 1, 4); burst > 0; burst--) call();
      world.at(world.nowMs + world.pause(callsPerSecond), callAndCall, process);
    };
    world.at(world.nowMs + world.pause(callsPerSecond), callAndCall, process);
    return call;
  }

  #call(process: SimulatedProcess, strategy: Strategy): void {
    process.call(strategy, this.#world.pick(...this.#keys), this.#rate, this.#count());
  }

  /** What takes from all limits or from one of them, or calls one of them. */
  #takes(process: SimulatedProcess, definitions: Readonly<Record<string, LimitDefinition>>): () => void {
    const names = Object.keys(definitions);
    const limits = process.limits(definitions);
    return () => {
      const asked = this.#world.pick(names, names, ...names.map((name) => [name]));
      const key = this.#world.pick(...this.#keys);
      if (asked.length > 1 || this.#world.random() < 0.5) {
        process.take(limits, asked, key, this.#count());
        return;
      }
      const { limit, windowMs } = definitions[asked[0]!] as { limit: number; windowMs: number };
      process.callLimit(limits, asked[0]!, key, perSecond((limit * 1_000) / windowMs), this.#count());
    };
  }

  #count(): number {
    return this.#world.pick(1, 1, 1, 1, 2, 5);
  }
}
