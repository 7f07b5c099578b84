// npm run bench:size: how fast `npx trypema size` reads and replays logs, as a process from its start to its end, and
// how much memory it takes.

import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { seededRandom } from "trypema/testing";
import { Report } from "./report.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** `npm run bench:size -- 10000000`: so many lines. */
const LINES = Number(process.argv[2] ?? 1_000_000);
/** One turn says nothing of speed, but that the benchmark still runs. */
const TURNS = LINES < 100_000 ? 1 : 3;
const DAY_S = 86_400;
/** Ends a program by printing the most memory that it had. */
const TELLING = `data:text/javascript,process.on("exit",()=>console.error(process.resourceUsage().maxRSS))`;

/** Most clients ask a few times, and a few ask most of the time, as in real logs. */
function writeLog(path: string, clients: number, lineOf: (timeS: number, client: string) => string): void {
  const random = seededRandom(1);
  const file = openSync(path, "w");
  let lines: string[] = [];
  for (let i = 0; i < LINES; i++) {
    const number = Math.floor(clients * random() ** 3);
    const client = `${10 + (number >> 24)}.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
    lines.push(lineOf(1_790_000_000 + (i / LINES) * DAY_S, client));
    if (lines.length < 10_000 && i < LINES - 1) continue;
    writeSync(file, `${lines.join("\n")}\n`);
    lines = [];
  }
  closeSync(file);
}

function combinedLine(timeS: number, client: string): string {
  const [date = "", clock = ""] = new Date(timeS * 1_000).toISOString().slice(0, 19).split("T");
  const time = `${date.slice(8)}/Sep/${date.slice(0, 4)}:${clock} +0000`;
  return `${client} - - [${time}] "GET /items?page=2 HTTP/1.1" 200 5316 "-" "Mozilla/5.0 (X11; Linux x86_64)"`;
}

const jsonLine = (timeS: number, client: string) =>
  `{"ts":${timeS.toFixed(3)},"request":{"client_ip":"${client}","method":"GET","uri":"/items"},"status":200}`;

const folder = mkdtempSync(join(tmpdir(), "trypema-bench-"));
const report = new Report();
try {
  const logs: [name: string, path: string][] = [];
  for (const clients of [10_000, 500_000]) {
    const path = join(folder, `combined-${clients}.log`);
    writeLog(path, clients, combinedLine);
    logs.push([`combined, ${clients} addresses`, path]);
  }
  execFileSync("gzip", ["--keep", logs[0]![1]]);
  logs.push(["the first, packed by gzip", `${logs[0]![1]}.gz`]);
  const json = join(folder, "json.log");
  writeLog(json, 10_000, jsonLine);
  logs.push(["JSON, 10000 addresses", json]);
  const rows = logs.map(([name, path]) => [name, ...measure(path)]);
  report.print(`${LINES} lines each; the best of ${TURNS} turns.\n`);
  report.printTable(["", "seconds", "lines/s", "memory, MB"], rows);
} finally {
  rmSync(folder, { recursive: true });
}

function measure(path: string): string[] {
  const times: number[] = [];
  let kilobytes = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    const beginMs = performance.now();
    const args = ["--import", TELLING, MAIN, "size", "--json", path];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    times.push((performance.now() - beginMs) / 1_000);
    if (status !== 0 || JSON.parse(stdout).requests !== LINES) throw new Error(`size failed: ${stderr}`);
    kilobytes = Math.max(kilobytes, Number(stderr));
  }
  const seconds = Math.min(...times);
  return [seconds.toFixed(1), (LINES / seconds).toFixed(0), (kilobytes / 1_024).toFixed(0)];
}
