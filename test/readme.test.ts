// The README's figures stand in the benchmarks, so that a new measurement can't leave them behind.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "./support/process.ts";

const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const benchmarks = readFileSync(join(ROOT, "docs", "benchmarks.md"), "utf8");

/** The cells of a row, by what it begins with, in the part of a text under a heading. */
function cells(text: string, heading: string, row: string): string[] {
  const part = text.slice(text.indexOf(`${heading}\n`));
  const line = part.split("\n").find((each) => each.startsWith(`| ${row} |`));
  if (line === undefined) throw new Error(`there is no row ${row} under ${heading}`);
  return line
    .split("|")
    .slice(2, -1)
    .map((cell) => cell.trim().replace(/ \(.*/, ""));
}

const measured = (heading: string, row: string, ...columns: number[]) => {
  const all = cells(benchmarks, heading, row);
  return columns.map((column) => all[column]!);
};

it.each([
  [
    "time of a call, one key / a million keys",
    "ns",
    ["absolute, admitted", "express-rate-limit MemoryStore", "rate-limiter-flexible, admitted"],
    "### Speed",
    [0, 2],
  ],
  [
    "memory of a key in the process, without its name",
    "bytes",
    ["absolute", "express-rate-limit MemoryStore", "rate-limiter-flexible"],
    "### Memory",
    [0],
  ],
  [
    "Redis' time for a call, one key / 50 000 keys",
    "µs",
    ["trypema, absolute", "rate-limit-redis", "rate-limiter-flexible"],
    "### Server time",
    [0, 2],
  ],
] as const)("%s", (row, unit, sides, heading, columns) => {
  const expected = sides.map((side) => {
    return measured(heading, side, ...columns)
      .map((figure) => `${figure} ${unit}`)
      .join(" / ");
  });
  expect(cells(readme, "## Beside the others", row).slice(0, 3)).toEqual(expected);
});

it("4 processes at five times the limit ask Redis for 1.6 % of their calls", () => {
  const row = "4 processes, one key of 1000/s, five times the limit";
  expect(measured("### A fleet with Hybrid, absolute", row, 0, 2)).toEqual(["1.000", "1.6 %"]);
  expect(readme).toMatch(/4 processes at five times the limit ask Redis for\s+1\.6 % of their calls/);
});
