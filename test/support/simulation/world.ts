// One Redis, and the chance and the time that its processes share. The Redis is real and runs the real scripts, by
// virtual time. Everything random comes from a seed. After every script, or every few, the world checks what Redis
// holds.

import type { Redis } from "ioredis";
import { seededRandom } from "trypema/testing";
import { BATCH } from "../../../src/redis/lua.generated.ts";
import { readStored, unsoundnessOf } from "../stored-state.ts";
import { Timeline } from "./timeline.ts";

export type Method = "evalsha" | "eval";
export type Arguments = readonly (string | number)[];

/** What happens to messages between processes and Redis. */
export interface Network {
  /** The longest that a message takes; each way its own time. */
  delayMs: number;
  /** The share of requests that never reach Redis, and of answers that never come back. */
  lostRequests: number;
  lostAnswers: number;
  /** The share of these that the client sends again. */
  sentAgain: number;
  /** The share of requests that reach Redis once more a little later, though their answers come back. */
  repeated: number;
}

/** A network that loses nothing. */
export const PERFECT: Network = { delayMs: 1, lostRequests: 0, lostAnswers: 0, sentAgain: 0, repeated: 0 };

/** Far from what the processes' clocks say. */
const SERVER_CLOCK_MS = 1_700_000_000_000;

/** The key that a Redis key is about: `prefix:a:1000:10:{:key}`, or with the name of a limit before the brace. */
export function keyIn(name: string | number): string {
  const text = String(name);
  return text.slice(text.lastIndexOf(":") + 1, text.lastIndexOf("}"));
}

/**
 * Sends all that worlds ask of Redis in one turn of the event loop by one write, because a write costs as much as
 * everything else that a simulation does for a script.
 */
function sendTogether({ stream }: Redis): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  setImmediate(() => stream.uncork());
}

export class World extends Timeline {
  /** How many arguments the longest request had. */
  longestRequest = 0;
  /** The capacity of every key, where all processes call with one rate; it is checked after each script then. */
  capacity: number | undefined;
  /** The hard limit of every key of the suppressed strategy, where all processes call with one rate. */
  hardLimit: number | undefined;
  /** Keys of which Redis may be told more than the capacity, because calls were admitted without it or late. */
  readonly overdrawn = new Set<string>();
  /** Of all that its processes store, since worlds share the Redis server. */
  readonly prefix: string;
  readonly random: () => number;
  readonly network: Network;
  readonly #redis: Redis;
  /** After every how many scripts what Redis holds is checked, because to read it costs more than a script. */
  readonly #checksEvery: number;
  #scripts = 0;

  static #worlds = 0;

  constructor(redis: Redis, seed: number, network: Partial<Network>, checksEvery: number) {
    super();
    this.#checksEvery = checksEvery;
    this.prefix = `world-${++World.#worlds}`;
    this.random = seededRandom(seed);
    this.network = { ...PERFECT, ...network };
    this.#redis = redis;
  }

  /** One of `values`. */
  pick<T>(...values: readonly T[]): T {
    return values[Math.floor(this.random() * values.length)]!;
  }

  /** How long until the next of what happens `perSecond` times a second by chance. */
  pause(perSecond: number): number {
    return (-Math.log(1 - this.random()) * 1_000) / perSecond;
  }

  /**
   * Runs a script now, by the server's clock in virtual time, which a script takes as its last argument. An error that
   * Redis replies is an outcome; what Redis holds and should not is thrown.
   */
  async execute(method: Method, args: Arguments): Promise<PromiseSettledResult<unknown>> {
    this.longestRequest = Math.max(this.longestRequest, args.length);
    if (args[0] === BATCH.sha1) throw new Error("the calls of this batch take a time each, and only one is given");
    const nowMs = SERVER_CLOCK_MS + this.nowMs;
    const withClock = [...args, nowMs] as unknown as [string, number, ...string[]];
    sendTogether(this.#redis);
    // Both are sent at once, in this order, which costs one round trip.
    const sent = Promise.allSettled([this.#redis[method](...withClock)]);
    const isChecked = ++this.#scripts % this.#checksEvery === 0;
    const [[outcome]] = await Promise.all([sent, isChecked ? this.#assertSound(args, nowMs) : undefined]);
    return outcome!;
  }

  /** Checks what Redis holds of each key that a script was about. */
  async #assertSound([, keyCount, ...others]: Arguments, nowMs: number): Promise<void> {
    const names = others.slice(0, Number(keyCount)).map(String);
    const states = names.filter((name) => name.endsWith("}"));
    await Promise.all(states.map((state) => this.#assertSoundState(state, nowMs)));
  }

  async #assertSoundState(name: string, nowMs: number): Promise<void> {
    const [, strategy, bucketMs] = /^[^:]+:([as]):[\d.]+:([\d.]+):/.exec(name)!;
    const stored = await readStored(this.#redis, name);
    const isBounded = !this.overdrawn.has(keyIn(name));
    const capacity = isBounded && strategy === "a" ? this.capacity : undefined;
    const hardLimit = isBounded && strategy === "s" ? this.hardLimit : undefined;
    const problems = unsoundnessOf(stored, { nowMs, bucketMs: Number(bucketMs), capacity, hardLimit });
    if (problems.length > 0) throw new Error(`Redis holds of ${name} after a script: ${problems.join("; ")}`);
  }
}
