// npm run bench: prints every figure, and with `-- --write` puts them into docs/benchmarks.md too.

import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { BUCKET_COUNTS, type FlatRow } from "./flat.ts";
import { ask, CALLS_A_STRETCH, measurePauses, takeTurns } from "./players.ts";
import type { Sweep } from "./sweep.ts";
import { median } from "./workloads.ts";

const REPORT = new URL("../../docs/benchmarks.md", import.meta.url);
const BEGIN = "<!-- npm run bench -- --write: from here -->\n";
const END = "<!-- to here -->\n";

const SIDES = [
  "floor",
  "absolute, admitted",
  "absolute, rejected",
  "suppressed, under the limit",
  "suppressed, over the limit",
  "express-rate-limit MemoryStore",
  "rate-limiter-flexible, admitted",
  "rate-limiter-flexible, rejected",
];
const KEY_COUNTS = [1, 100_000, 1_000_000];
const MANY_KEYS = String(KEY_COUNTS.at(-1));

const lines: string[] = [];

function print(line = ""): void {
  console.log(line);
  lines.push(line);
}

function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  print(row(head));
  print(row(head.map((_, column) => (column === 0 ? "---" : "---:"))));
  for (const cells of rows) print(row(cells));
  print();
}

function program(name: string): URL {
  return new URL(`./${name}.js`, import.meta.url);
}

async function speed(): Promise<void> {
  const columns: number[][][] = [];
  for (const keyCount of KEY_COUNTS) columns.push(await takeTurns(program("sides"), SIDES, String(keyCount)));
  print("### Speed\n");
  print("Nanoseconds of a call, and how many times the floor that is.\n");
  const cell = (turns: readonly number[], floor: readonly number[]) =>
    `${median(turns).toFixed(0)} (${median(turns.map((ns, turn) => ns / floor[turn]!)).toFixed(2)}×)`;
  printTable(
    ["", "a hot key", "100 k keys", "1 M keys"],
    SIDES.map((side, index) => [side, ...columns.map((column) => cell(column[index]!, column[0]!))]),
  );
}

async function memory(): Promise<void> {
  print("### Memory\n");
  print("Bytes of a key beyond its own string, at a million keys of one bucket; and of a bucket more.\n");
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
  printTable(["", "bytes"], rows);
}

async function flatness(): Promise<void> {
  print("### Many buckets\n");
  print("Nanoseconds of a call to one key, by how many live buckets the key has.\n");
  const rows = await ask<FlatRow[]>(program("flat"));
  printTable(
    ["", ...BUCKET_COUNTS.map((count) => `${count}`)],
    rows.map(([kind, times]) => [kind, ...times.map((ns) => ns.toFixed(0))]),
  );
}

async function pauses(): Promise<void> {
  print("### Pauses\n");
  print(`In a run of 10 s over a million keys: the longest that the garbage collector stopped the program, and the`);
  print(`longest that ${CALLS_A_STRETCH} calls took, in milliseconds.\n`);
  const rows = [];
  for (const side of SIDES.filter((name) => !name.includes("rejected") && !name.includes("under"))) {
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
  printTable(["", "garbage collector", `${CALLS_A_STRETCH} calls`, "thousand calls a second"], rows);
  print("The background sweep over a million keys, which is to give way each millisecond: the longest stretch that it");
  print("held up the program, in milliseconds, and the same of a loop that does nothing but look at the clock.\n");
  const sweeps = [];
  for (const [keys, name] of Object.entries({ live: "all keys live", stale: "all keys stale", none: "the loop" })) {
    const { longestStretchMs, stretches } = await ask<Sweep>(program("sweep"), keys);
    sweeps.push([name, longestStretchMs.toFixed(1), `${stretches}`]);
  }
  printTable(["", "longest stretch", "stretches"], sweeps);
}

print(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}.\n`);
await speed();
await memory();
await flatness();
await pauses();

if (process.argv.includes("--write")) {
  const report = readFileSync(REPORT, "utf8");
  const begin = report.indexOf(BEGIN) + BEGIN.length;
  const end = report.indexOf(END);
  writeFileSync(REPORT, `${report.slice(0, begin)}\n${lines.join("\n")}${report.slice(end)}`);
}
