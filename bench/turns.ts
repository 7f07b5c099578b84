// Measures sides against each other. Each has a process of its own, so that no side pays for what
// another leaves to the garbage collector, and they take turns, so that whatever slows the machine
// slows them all.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { median } from "./workloads.ts";

/** Something that is called many times. */
export interface Side {
  /** Calls every key before each turn, so that all are known, and at their limits if that is measured. */
  readonly prepare: () => unknown;
  /** Makes the calls from `from` to `to` and returns how many of them were admitted. */
  readonly run: (from: number, to: number) => number | Promise<number>;
  /** Which of them have to be, so that a side can't be fast by being wrong. */
  readonly admits: "all" | "none";
}

const CALLS_A_TURN = 500_000;
/** Calls at the start of a turn that aren't timed: the side before has left the processor's caches to itself. */
const WARMING_CALLS = 250_000;
const TURNS = 7;

/** In a side's process: takes turns as it is told. */
export function serve(side: Side): void {
  process.on("message", async (turn: number) => {
    const from = turn * (WARMING_CALLS + CALLS_A_TURN) + WARMING_CALLS;
    await side.prepare();
    await side.run(from - WARMING_CALLS, from);
    const startMs = performance.now();
    const admitted = await side.run(from, from + CALLS_A_TURN);
    const ns = ((performance.now() - startMs) * 1e6) / CALLS_A_TURN;
    if (admitted !== (side.admits === "all" ? CALLS_A_TURN : 0)) throw new Error(`admitted ${admitted} calls`);
    process.send?.(ns);
  });
  process.send?.("ready");
}

/** The median nanoseconds of a call for each side: `program` is run once for each, with its name and `args`. */
export async function takeTurns(program: URL, sides: readonly string[], ...args: string[]): Promise<number[]> {
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
        player.child.send(turn);
        const ns = await player.answer();
        if (turn > 0) times[index]!.push(ns as number); // the first turn is for the compiler
      }
    }
    return times.map(median);
  } finally {
    for (const player of players) player.child.kill();
  }
}

class Player {
  readonly child: ChildProcess;
  readonly #ended: Promise<never>;

  constructor(program: URL, args: readonly string[]) {
    this.child = fork(program, args);
    this.#ended = once(this.child, "exit").then(() => {
      throw new Error(`${args.join(" ")}: the process ended early`);
    });
    this.#ended.catch(() => {}); // of interest only while an answer is awaited
  }

  async answer(): Promise<unknown> {
    const [message] = await Promise.race([once(this.child, "message"), this.#ended]);
    return message;
  }
}
