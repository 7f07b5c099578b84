// Sides that are measured against each other. Each has a process of its own, so that no side pays
// for what another leaves to the garbage collector.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";

/** Something that is called many times. */
export interface Side {
  /** Calls every key before each turn, so that all are known, and at their limits if that is measured. */
  readonly prepare: () => unknown;
  /** Makes the calls from `from` to `to` and returns how many of them were admitted. */
  readonly run: (from: number, to: number) => number | Promise<number>;
  /** Which of them have to be, so that a side can't be fast by being wrong. */
  readonly admits: "all" | "none";
}

export interface Pauses {
  readonly callsPerSecond: number;
  readonly longestStretchMs: number;
  readonly longestGarbageCollectionMs: number;
}

const CALLS_A_TURN = 500_000;
/** Calls at the start of a turn that aren't timed: the side before has left the processor's caches to itself. */
const WARMING_CALLS = 250_000;
const TURNS = 7;

const PAUSES_RUN_MS = 10_000;
export const CALLS_A_STRETCH = 100;

/** In a side's process: takes turns as it is told, or runs for its pauses. */
export function serve(side: Side): void {
  process.on("message", async (turn: number | "pauses") => {
    process.send?.(turn === "pauses" ? await longestPauses(side) : await nanosecondsOf(side, turn));
  });
  process.send?.("ready");
}

async function nanosecondsOf(side: Side, turn: number): Promise<number> {
  const from = turn * (WARMING_CALLS + CALLS_A_TURN) + WARMING_CALLS;
  await side.prepare();
  await side.run(from - WARMING_CALLS, from);
  const startMs = performance.now();
  const admitted = await side.run(from, from + CALLS_A_TURN);
  const ns = ((performance.now() - startMs) * 1e6) / CALLS_A_TURN;
  if (admitted !== (side.admits === "all" ? CALLS_A_TURN : 0)) throw new Error(`admitted ${admitted} calls`);
  return ns;
}

async function longestPauses(side: Side): Promise<Pauses> {
  await side.prepare();
  let longestGarbageCollectionMs = 0;
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      longestGarbageCollectionMs = Math.max(longestGarbageCollectionMs, duration);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  let calls = 0;
  let longestStretchMs = 0;
  const beginMs = performance.now();
  for (let startMs = beginMs; startMs - beginMs < PAUSES_RUN_MS; startMs = performance.now()) {
    await side.run(calls, calls + CALLS_A_STRETCH);
    longestStretchMs = Math.max(longestStretchMs, performance.now() - startMs);
    calls += CALLS_A_STRETCH;
    // The observer hears of collections between tasks only.
    if (calls % (1_000 * CALLS_A_STRETCH) === 0) await setImmediate();
  }
  const callsPerSecond = (calls / (performance.now() - beginMs)) * 1_000;
  await setImmediate();
  observer.disconnect();
  return { callsPerSecond, longestStretchMs, longestGarbageCollectionMs };
}

/**
 * The nanoseconds of a call to each side in each turn. `program` is run once for each side, with its
 * name and `args`, and they take turns, so that whatever slows the machine slows them all.
 */
export async function takeTurns(program: URL, sides: readonly string[], ...args: string[]): Promise<number[][]> {
  const players: Player[] = [];
  try {
    for (const side of sides) {
      const player = new Player(program, [side, ...args]);
      players.push(player);
      await player.answer();
    }
    const times = sides.map((): number[] => []);
    for (let turn = 0; turn <= TURNS; turn++) {
      for (const [index, player] of players.entries()) {
        const ns = await player.ask<number>(turn);
        if (turn > 0) times[index]!.push(ns); // the first turn is for the compiler
      }
    }
    return times;
  } finally {
    for (const player of players) player.leave();
  }
}

/** The pauses of one side in a long run. */
export async function measurePauses(program: URL, side: string, ...args: string[]): Promise<Pauses> {
  const player = new Player(program, [side, ...args]);
  try {
    await player.answer();
    return await player.ask<Pauses>("pauses");
  } finally {
    player.leave();
  }
}

/** What `program` sends as its first message when it is run with `args`. */
export async function ask<Answer>(program: URL, ...args: string[]): Promise<Answer> {
  const player = new Player(program, args);
  try {
    return (await player.answer()) as Answer;
  } finally {
    player.leave();
  }
}

class Player {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(program: URL, args: readonly string[]) {
    this.#child = fork(program, args);
    this.#ended = once(this.#child, "exit").then(() => {
      throw new Error(`${args.join(" ")}: the process ended early`);
    });
    this.#ended.catch(() => {}); // of interest only while an answer is awaited
  }

  ask<Answer>(question: number | string): Promise<Answer> {
    this.#child.send(question);
    return this.answer() as Promise<Answer>;
  }

  async answer(): Promise<unknown> {
    const [message] = await Promise.race([once(this.#child, "message"), this.#ended]);
    return message;
  }

  leave(): void {
    this.#child.kill();
  }
}
