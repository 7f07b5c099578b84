// Hybrid providers of many processes on virtual time: their real code and the real scripts on a real Redis, with a
// network between them that takes its time and loses messages. Everything follows from a seed.

import type { Redis } from "ioredis";
import type { Decision, Rate } from "trypema";
import { createHybridProvider, type HybridOptions, type HybridProvider } from "trypema/hybrid";
import type { IoredisClient } from "trypema/redis";
import { vi } from "vitest";

/** A call, and when it was made and answered. */
export interface SimulatedCall {
  readonly sentMs: number;
  readonly answeredMs: number;
  readonly count: number;
  readonly decision: Decision;
}

export interface Network {
  /** The most that a message takes. */
  readonly delayMs: number;
  /** The share of messages that are lost, requests and answers alike. */
  readonly loss: number;
}

/** The test has made setTimeout virtual; every step of the simulation is a millisecond of it. */
export class Simulation {
  readonly calls: SimulatedCall[] = [];
  readonly random: () => number;
  network: Network;
  #nowMs = 1_000_000;
  readonly #redis: Redis;
  #messages: { atMs: number; deliver: () => unknown }[] = [];
  readonly #crashed = new Set<HybridProvider>();

  constructor(redis: Redis, random: () => number, network: Network) {
    this.#redis = redis;
    this.random = random;
    this.network = network;
    // Those of the simulation before this one.
    vi.clearAllTimers();
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** A provider in a process of its own, with a clock of its own. */
  addProcess(options: HybridOptions): HybridProvider {
    const aheadMs = Math.floor(this.random() * 1e6);
    const provider: HybridProvider = createHybridProvider(
      this.#connect(() => this.#crashed.has(provider)),
      { timeoutMs: 400, random: this.random, ...options, clock: () => this.#nowMs + aheadMs },
    );
    return provider;
  }

  /** None of its messages is delivered any longer; that it makes no calls is up to the test. */
  crash(provider: HybridProvider): void {
    this.#crashed.add(provider);
  }

  call(provider: HybridProvider, strategy: "absolute" | "suppressed", rate: Rate, count = 1): void {
    const sentMs = this.#nowMs;
    const note = (decision: Decision) => {
      if (!this.#crashed.has(provider)) this.calls.push({ sentMs, answeredMs: this.#nowMs, count, decision });
    };
    const decision = provider[strategy].inc("key", rate, count);
    if (decision instanceof Promise) decision.then(note);
    else note(decision);
  }

  /** A millisecond: messages that are due are delivered, and timers fire. */
  async step(): Promise<void> {
    this.#nowMs++;
    vi.advanceTimersByTime(1);
    const due = this.#messages.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#messages = this.#messages.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { deliver } of due) await deliver();
    // What follows from a message, or from a call, happens before the next step.
    for (let turns = 0; turns < 20; turns++) await undefined;
  }

  #connect(isCrashed: () => boolean): IoredisClient {
    let lastMs = 0;
    const send = (run: (args: string[]) => Promise<unknown>, args: string[]) =>
      new Promise<unknown>((resolve, reject) => {
        const later = (deliver: () => unknown) => {
          // Messages of a connection stay in order.
          lastMs = Math.max(lastMs, this.#nowMs + Math.floor(this.random() * (this.network.delayMs + 1)));
          this.#messages.push({ atMs: lastMs, deliver: () => (isCrashed() ? undefined : deliver()) });
        };
        const fail = () => reject(new Error("the connection broke"));
        const isLost = () => this.random() < this.network.loss;
        later(async () => {
          if (isLost()) return later(fail);
          // The time that a process sends is its own; the server has another one.
          const answer = await run(args.with(-1, String(this.#nowMs))).catch((error: Error) => error);
          if (isLost()) return later(fail);
          later(() => (answer instanceof Error ? reject(answer) : resolve(answer)));
        });
      });
    return {
      evalsha: (sha1, keys, ...args) => send((sent) => this.#redis.evalsha(sha1, keys, ...sent), args),
      eval: (source, keys, ...args) => send((sent) => this.#redis.eval(source, keys, ...sent), args),
    };
  }
}
