// `npx trypema size` as a process: what it reads, what it prints, and how it ends.

import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Report } from "../../src/cli/size/report.ts";
import { runScript } from "../support/built.ts";
import { MAIN, runProgram, trypema, useFolder } from "./run.ts";
import { combinedLine, csvLines, jsonLine, sampleRequests } from "./samples.ts";

const folder = useFolder();
const requests = sampleRequests();
const combined = `${requests.map(combinedLine).join("\n")}\n`;
const json = `${requests.map(jsonLine).join("\n")}\n`;

const access = folder.write("access.log", combined);

async function reportOf(args: readonly string[], input?: string | Buffer): Promise<Report> {
  const { stdout, stderr, code } = await trypema(["size", "--json", ...args], {
    cwd: folder.path,
    ...(input && { input }),
  });
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

/** Without the names of logs, and what only whole seconds bring. */
function found({ logs: _, recommendation: __, lines: ___, ...report }: Report): object {
  return report;
}

describe("npx trypema size", () => {
  it("finds what a plain count finds", async () => {
    const report = await reportOf(["access.log"]);
    const counts = new Map<string, number>();
    for (const { client } of requests) counts.set(client, (counts.get(client) ?? 0) + 1);
    expect(report).toMatchObject({ requests: requests.length, clients: counts.size, counts: "requests" });
    expect(report).toMatchObject({ broken: { lines: 0, first: [] }, hasWholeSeconds: true, cutOff: [] });
    const minute = report.windows[1]!;
    const ofCrawler = requests
      .filter(({ client }) => client === "198.51.100.7")
      .map(({ timeMs }) => Math.floor(timeMs / 1_000));
    const busiest = Math.max(...ofCrawler.map((last) => ofCrawler.filter((s) => s > last - 60 && s <= last).length));
    expect(minute.busiest.max).toBe(busiest);
    const crawlers = minute.limits.find(({ at }) => at.includes("recommended"))!;
    expect(crawlers.hitMost.map(({ client }) => client)).toEqual(["198.51.100.7"]);
    expect(report.recommendation.limits.map(({ name }) => name)).toContain("burst");
    const max = minute.limits.at(-1)!;
    expect([max.absolute.deniedRequests, max.suppressed.deniedRequests]).toEqual([0, 0]);
  });

  it("finds the same in every format, packed or not, from files and from stdin, in any order of files", async () => {
    folder.write("access.log.gz", gzipSync(combined));
    folder.write("access.json", json);
    folder.write("access.csv", `${csvLines(requests).join("\n")}\n`);
    const expected = found(await reportOf(["access.log"]));
    expect(found(await reportOf(["access.log.gz"]))).toEqual(expected);
    expect(found(await reportOf(["-"], combined))).toEqual(expected);
    expect(found(await reportOf(["-"], gzipSync(combined)))).toEqual(expected);
    const half = combined.indexOf("\n", combined.length / 2) + 1;
    folder.write("access.log.1", combined.slice(half));
    folder.write("access.log.2", combined.slice(0, half));
    const parts = await reportOf(["access.log.1", "access.log.2"]);
    expect(found(parts)).toEqual(expected);
    const exact = found(await reportOf(["access.json"]));
    const columns = ["--time", "when", "--client", "customer", "--cost=tokens"];
    expect(found(await reportOf([...columns, "access.csv"]))).toEqual(exact);
    expect(exact).toMatchObject({ hasWholeSeconds: false, requests: requests.length });
  });

  it("prints tables, without colours where stdout is no terminal, and writes a page where it is told to", async () => {
    const { stdout, stderr, code } = await trypema(["size", "access.log", "--html", "report.html"], {
      cwd: folder.path,
    });
    expect([stderr, code]).toEqual(["", 0]);
    expect(stdout).toMatch(/^window +median +95 % +99 % +99\.9 % +max +all clients$/m);
    expect(stdout).not.toContain("\u001b");
    const page = readFileSync(`${folder.path}/report.html`, "utf8");
    expect(page.match(/<svg /g)).toHaveLength(8);
    expect(page).not.toMatch(/<script|https?:|NaN|undefined|Infinity/);
    expect(page).toContain("prefers-color-scheme: dark");
  });

  it("prints a program with the limits that it recommends, which runs as it is pasted", async () => {
    const { stdout } = await trypema(["size", "access.log"], { cwd: folder.path });
    const [, program = ""] = /^(import \{.*)/ms.exec(stdout) ?? [];
    const ran = await runScript(`${program}
      for (let i = 0; i < 15; i++) limits.take("ann");
      console.log(limits.take("bob").allowed, limits.take("ann").deniedBy);
    `);
    expect(ran).toEqual({ stdout: "true burst\n", stderr: "" });
  });

  it("recommends from what 95 % had where clients are few, so that one bot doesn't raise the limits", async () => {
    const start = 1_790_000_000;
    const people = Array.from({ length: 39 }, (_, client) =>
      Array.from({ length: 5 }, (_, i) => ({ ts: start + 3_600 * client + 90 * i + 0.5, client: `c${client}` })),
    );
    const bot = Array.from({ length: 9_000 }, (_, i) => ({ ts: start + 7_200 + i / 10, client: "bot" }));
    folder.write("few.json", [...people.flat(), ...bot].map((line) => JSON.stringify(line)).join("\n"));
    const { recommendation, windows } = await reportOf(["few.json"]);
    expect(windows[2]!.busiest).toMatchObject({ p95: 5, p99: 9_000 });
    for (const { limit, windowMs, reasons } of recommendation.limits) {
      expect([windowMs, limit]).toEqual([windowMs, windows.find((one) => one.windowMs === windowMs)!.busiest.p95 * 2]);
      expect(reasons[0]).toMatch(/^95 % of the clients had at most [15] in /);
    }
    expect(recommendation.limits.length).toBeGreaterThan(0);
    expect(recommendation.remarks.join(" ")).toContain("With 40 clients the 99 % would include the busiest");
  });

  it("counts lines that it can't read, shows the first, and lets nothing through that a terminal or a browser acts on", async () => {
    const hostile = '\u001b]0;owned\u0007<script>alert(1)</script>\u202e"&\u009b31m';
    const busy = Array.from({ length: 60 }, (_, i) => ({ ts: 1_790_000_000 + i / 100, client: hostile }));
    const quiet = Array.from({ length: 300 }, (_, i) => ({ ts: 1_790_000_000 + 40 * i, client: `c${i}` }));
    const lines = [
      ...[...busy, ...quiet].map((line) => JSON.stringify(line)),
      `{"ts":"${hostile}`,
      "[]",
      "",
      "nothing",
      "{}",
    ];
    folder.write("hostile.json", lines.join("\n"));
    const args = ["size", "hostile.json", "--html", "hostile.html"];
    const { stdout, code } = await trypema(args, { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toContain(
      '4 lines could not be read:\n  hostile.json:361: no object of JSON: {"ts":"\\u{1b}]0;owned',
    );
    expect(stdout).toContain("\\u{1b}]0;owned\\u{7}<script>");
    const asJson = await trypema(["size", "hostile.json", "--json"], { cwd: folder.path });
    const page = readFileSync(`${folder.path}/hostile.html`, "utf8");
    for (const text of [stdout, asJson.stdout, page]) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
      expect(text.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    }
    expect(page).not.toContain("<script");
    expect(page).toContain("&#60;script&#62;");
    const report: Report = JSON.parse(asJson.stdout);
    expect(JSON.stringify(report.windows)).toContain(JSON.stringify(hostile).slice(1, -1));
  });

  it("goes on with what came before a packed file ends too early", async () => {
    const packed = gzipSync(combined);
    folder.write("cut.log.gz", packed.subarray(0, packed.length / 2));
    const { stdout, code } = await trypema(["size", "cut.log.gz"], { cwd: folder.path });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^cut\.log\.gz ended after [\d ]+ lines, because the packed file ends too early, so/m);
  });

  it("takes addresses of one IPv6 network for one client, as HTTP limits do", async () => {
    const lines = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "203.0.113.9:4711", "203.0.113.9"];
    const csv = lines.map((client, i) => `${1_790_000_000 + i},${client}`).join("\n");
    expect(await reportOf(["-"], csv)).toMatchObject({ requests: 5, clients: 3 });
    expect(await reportOf(["--ipv6-prefix", "128", "-"], csv)).toMatchObject({ requests: 5, clients: 4 });
  });
});

describe("the command line", () => {
  it.each([
    [[], /^Usage: npx trypema COMMAND/],
    [["sizes"], /^trypema: sizes is no command; there are size/],
    [["size"], /^trypema size: name a log, such as npx trypema size access\.log, or - for stdin\n$/],
    [["size", "--josn", "x"], /^trypema size: --josn is no option here; there are --format, .*\n$/],
    [["size", "--html"], /^trypema size: --html.* needs a value, such as --html=VALUE\n$/],
    [["size", "--json=1", "x"], /^trypema size: --json takes no value\n$/],
    [["size", "--format", "xml", "x"], /^trypema size: --format xml: expected one of combined, json, csv\n$/],
    [
      ["size", "--ipv6-prefix", "129", "x"],
      /^trypema size: --ipv6-prefix 129: expected a whole number from 1 to 128\n$/,
    ],
    [["size", "--time", "ts", "access.log"], /^trypema size: --time is for JSON and CSV; .*\n$/],
    [["size", "\u001b[2J"], undefined],
  ])("%j is wrong usage or a failure, said in one line", async (args, message) => {
    const { stdout, stderr, code } = await trypema(args, { cwd: folder.path });
    expect(stdout).toBe("");
    if (message === undefined)
      expect([stderr, code]).toEqual(["trypema size: \\u{1b}[2J can't be read: there is no such file\n", 1]);
    else expect([stderr, code]).toEqual([expect.stringMatching(message), 2]);
  });

  it.each([
    ["nothing.log", "", "there is no request in it"],
    ["words.log", "one\ntwo\n", "none of 2 lines could be read; words.log:1: no names of columns"],
    ["cut.gz", gzipSync("x").subarray(0, 10), "the packed file ends too early"],
    ["x.zst", Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), "x.zst is packed by zstd: unpack it into a pipe"],
  ])("%s is a failure, said in one line", async (name, content, message) => {
    folder.write(name, content);
    const { stdout, stderr, code } = await trypema(["size", name], { cwd: folder.path });
    expect([stdout, code]).toEqual(["", 1]);
    expect(stderr).toMatch(/^trypema size: .*\n$/);
    expect(stderr).toContain(message);
  });

  it("refuses a folder, and a page that it can't write", async () => {
    const ended = await trypema(["size", "."], { cwd: folder.path });
    expect(ended).toMatchObject({ code: 1, stderr: "trypema size: . is a folder: name the files, such as ./*.log\n" });
    const unwritten = await trypema(["size", "access.log", "--html", "no/such/folder.html"], { cwd: folder.path });
    expect(unwritten.code).toBe(1);
    expect(unwritten.stderr).toMatch(/^trypema size: no\/such\/folder\.html can't be written: ENOENT.*\n$/);
  });

  it("has help for itself and for each command, and a version", async () => {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await trypema(["--version"])).toEqual({ stdout: `${version}\n`, stderr: "", code: 0 });
    const help = await trypema(["--help"]);
    const commands = [...help.stdout.matchAll(/^ {2}(\w+) {2,}/gm)].map(([, name]) => name!);
    expect(commands).toContain("size");
    for (const name of commands) {
      const { stdout, stderr, code } = await trypema([name, "--help"]);
      expect([stderr, code]).toEqual(["", 0]);
      expect(stdout).toMatch(new RegExp(`^Usage: npx trypema ${name} `));
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
    }
  });

  it("ends without a word when its reader has enough", async () => {
    const command = `"${process.execPath}" "${MAIN}" size --json "${access}" | head -n 1`;
    expect(await runProgram("sh", ["-c", command])).toEqual({ stdout: "{\n", stderr: "", code: 0 });
  });
});
