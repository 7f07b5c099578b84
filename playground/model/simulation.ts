// Runs the library itself on virtual time: the same calls against each strategy, and what became of them. Nothing
// here knows of a page; the same run in Node gives the same numbers.

import { createLimits, createLocalProvider, type LimitDefinition, perSecond, type Usage, unlimited } from "trypema";
import { manualClock, seededRandom } from "trypema/testing";
import { type Call, type Load, loadOf } from "./load.ts";
import type { Settings, StrategyName } from "./settings.ts";

export type LimitName = "first" | "second";

/** A call, and what the limiter said. */
export interface Answer extends Call {
  readonly allowed: boolean;
  /** Which of two limits makes the call wait longest; undefined when it was admitted. */
  readonly deniedBy: LimitName | undefined;
  readonly retryAfterMs: number;
}

/** What a strategy did with a load. */
export interface Run {
  readonly strategy: StrategyName;
  readonly answers: readonly Answer[];
  /** For each key what `get` says of it at each frame. */
  readonly frames: readonly (readonly Usage[])[];
  readonly frameMs: number;
}

export interface Simulation {
  readonly settings: Settings;
  readonly load: Load;
  readonly runs: readonly Run[];
}

const FRAMES = 600;

export function simulate(asked: Settings): Simulation {
  const load = loadOf(asked);
  const settings = { ...asked, client: Math.min(asked.client, load.clients.length - 1) };
  const strategies = settings.strategy === "both" ? (["absolute", "suppressed"] as const) : [settings.strategy];
  return { settings, load, runs: strategies.map((strategy) => run(strategy, settings, load)) };
}

/** The key that limits a client. */
export function keyOf(client: number, settings: Settings): number {
  return settings.limit === "each" ? client : 0;
}

function run(strategy: StrategyName, settings: Settings, load: Load): Run {
  const clock = manualClock();
  const provider = createLocalProvider({ clock, random: seededRandom(settings.seed + 1), cleanup: false });
  const limits = createLimits(provider, definitionsOf(strategy, settings));
  const keys = settings.limit === "each" ? load.clients.length : 1;
  const frames = Array.from({ length: keys }, (): Usage[] => []);
  const frameMs = (load.seconds * 1_000) / FRAMES;
  const lookBefore = (untilMs: number) => {
    for (let ms = frames[0]!.length * frameMs; ms < untilMs && frames[0]!.length <= FRAMES; ) {
      clock.set(ms);
      for (let key = 0; key < keys; key++) frames[key]!.push(limits.limiter("first").get(String(key)));
      ms = frames[0]!.length * frameMs;
    }
  };
  const answers = load.calls.map(({ ms, client }): Answer => {
    lookBefore(ms);
    clock.set(ms);
    const { allowed, deniedBy, retryAfterMs } = limits.take(String(keyOf(client, settings)));
    return { ms, client, allowed, deniedBy, retryAfterMs };
  });
  lookBefore(Number.POSITIVE_INFINITY);
  return { strategy, answers, frames, frameMs };
}

function definitionsOf(strategy: StrategyName, settings: Settings): Readonly<Record<LimitName, LimitDefinition>> {
  const { ratePerSecond, windowMs, bucketMs, hardLimitFactor, secondLimit, secondWindowMs } = settings;
  const first: LimitDefinition = { rate: perSecond(ratePerSecond), windowMs, bucketMs, strategy, hardLimitFactor };
  const second: LimitDefinition =
    secondLimit > 0
      ? { limit: secondLimit, windowMs: secondWindowMs }
      : { rate: unlimited(), windowMs: secondWindowMs };
  return { first, second };
}
