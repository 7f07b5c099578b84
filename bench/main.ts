// npm run bench: prints every figure, and with `-- --write` puts them into docs/benchmarks.md too.

import { BUCKET_COUNTS, type FlatRow } from "./flat.ts";
import { ask, CALLS_A_STRETCH, measurePauses, takeTurns } from "./players.ts";
import { Report } from "./report.ts";
import type { Sweep } from "./sweep.ts";
import { median } from "./workloads.ts";

const SIDES = [
  "floor",
  "absolute, admitted",
  "absolute, admitted, with onEvent",
  "absolute, rejected",
  "suppressed, under the limit",
  "suppressed, over the limit",
  "a take of three limits, admitted",
  "a guard of trypema/http, admitted",
  "throttlerStorage of trypema/nestjs, admitted",
  "express-rate-limit MemoryStore",
  "rate-limiter-flexible, admitted",
  "rate-limiter-flexible, rejected",
];
const KEY_COUNTS = [1, 100_000, 1_000_000];
const MANY_KEYS = String(KEY_COUNTS.at(-1));

const report = new Report();

function program(name: string): URL {
  return new URL(`./${name}.js`, import.meta.url);
}

async function speed(): Promise<void> {
  const columns: number[][][] = [];
  for (const keyCount of KEY_COUNTS) columns.push(await takeTurns(program("sides"), SIDES, String(keyCount)));
  report.print("### Speed\n");
  report.print("Nanoseconds of a call, and how many times the floor that is.\n");
  const cell = (turns: readonly number[], floor: readonly number[]) =>
    `${median(turns).toFixed(0)} (${median(turns.map((ns, turn) => ns / floor[turn]!)).toFixed(2)}×)`;
  report.printTable(
    ["", "a hot key", "100 k keys", "1 M keys"],
    SIDES.map((side, index) => [side, ...columns.map((column) => cell(column[index]!, column[0]!))]),
  );
}

async function memory(): Promise<void> {
  report.print("### Memory\n");
  report.print("Bytes of a key beyond its own string, at a million keys of one bucket; and of a bucket more.\n");
  const rows = [];
  for (const subject of [
    "absolute",
    "suppressed",
    "suppressed, over the limit",
    "a further bucket",
    "express-rate-limit MemoryStore",
    "rate-limiter-flexible",
  ]) {
    rows.push([subject, (await ask<number>(program("memory"), subject)).toFixed(0)]);
  }
  report.printTable(["", "bytes"], rows);
}

async function flatness(): Promise<void> {
  report.print("### Many buckets\n");
  report.print("Nanoseconds of a call to one key, by how many live buckets the key has.\n");
  const rows = await ask<FlatRow[]>(program("flat"));
  report.printTable(
    ["", ...BUCKET_COUNTS.map((count) => `${count}`)],
    rows.map(([kind, times]) => [kind, ...times.map((ns) => ns.toFixed(0))]),
  );
}

async function pauses(): Promise<void> {
  report.print("### Pauses\n");
  report.print(
    `In a run of 10 s over a million keys: the longest that the garbage collector stopped the program, and the`,
  );
  report.print(`longest that ${CALLS_A_STRETCH} calls took, in milliseconds.\n`);
  const rows = [];
  for (const side of SIDES.filter((name) => !/rejected|under|onEvent/.test(name))) {
    const { callsPerSecond, longestGarbageCollectionMs, longestStretchMs } = await measurePauses(
      program("sides"),
      side,
      MANY_KEYS,
    );
    rows.push([
      side,
      longestGarbageCollectionMs.toFixed(1),
      longestStretchMs.toFixed(1),
      (callsPerSecond / 1_000).toFixed(0),
    ]);
  }
  report.printTable(["", "garbage collector", `${CALLS_A_STRETCH} calls`, "thousand calls a second"], rows);
  report.print(
    "The background sweep over a million keys, which is to give way each millisecond: the longest stretch that it",
  );
  report.print(
    "held up the program, in milliseconds, and the same of a loop that does nothing but look at the clock.\n",
  );
  const sweeps = [];
  for (const [keys, name] of Object.entries({ live: "all keys live", stale: "all keys stale", none: "the loop" })) {
    const { longestStretchMs, stretches } = await ask<Sweep>(program("sweep"), keys);
    sweeps.push([name, longestStretchMs.toFixed(1), `${stretches}`]);
  }
  report.printTable(["", "longest stretch", "stretches"], sweeps);
}

await speed();
await memory();
await flatness();
await pauses();
report.end("npm run bench");
