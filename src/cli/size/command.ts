// `npx trypema size`: reads logs, replays them through the library, and says which limits they speak for.

import { writeFile } from "node:fs/promises";
import { type Command, choice, Failure, readArguments, type Streams, UsageError } from "../command.ts";
import { bold, ProgressLine } from "../terminal.ts";
import { duration, grouped, percent, printable, printableJson } from "../text.ts";
import { bitsFrom } from "../units.ts";
import { Clients } from "./clients.ts";
import { reportPage } from "./page.ts";
import { reportLines } from "./print.ts";
import { FORMATS, type Format, LogReader, nothingRead, type Reading } from "./reader.ts";
import { measureTogether, WINDOWS } from "./replay.ts";
import type { LogFacts } from "./report.ts";
import type { Fields } from "./request.ts";
import { findSource, readLines } from "./source.ts";
import { type RequestReader, Spool } from "./spool.ts";
import { makeReport } from "./study.ts";

const OPTIONS = {
  format: { type: "string" },
  time: { type: "string" },
  client: { type: "string" },
  cost: { type: "string" },
  "ipv6-prefix": { type: "string" },
  json: { type: "boolean" },
  html: { type: "string" },
  help: { type: "boolean", short: "h" },
} as const;

const HELP = `Usage: npx trypema size [options] LOG...

Says which limits access logs speak for: how much clients used in their busiest
${WINDOWS.map(({ windowMs }) => duration(windowMs)).join(", ")}, and what limits would have denied. It replays the log
through the library, on the log's own time.

LOG is a file, also one that is packed by gzip, or - for stdin. Lines and logs
may be in any order of time. Nothing leaves this machine.

Options:
  --format FORMAT    combined (nginx and Apache, common too), json (an object on
                     each line) or csv; default: what the first lines look like
  --time FIELD       where the time is: a field of JSON, such as ts or req.time,
                     or a column of CSV by its name or number
  --client FIELD     the same for who is limited; in a combined log address (the
                     default) or user
  --cost FIELD       the same for what a request costs, a whole number; in a
                     combined log bytes. Without it each request counts 1
  --ipv6-prefix BITS how many bits of an IPv6 address make a client; default 64
  --json             print JSON
  --html FILE        write a page with charts to FILE as well
  -h, --help         print this

Examples:
  npx trypema size /var/log/nginx/access.log*
  zstdcat access.log.zst | npx trypema size -
  npx trypema size --client user --cost tokens --html report.html usage.csv`;

export const size: Command = { summary: "which limits fit an access log", help: HELP, run };

interface Settings {
  readonly format: Format | undefined;
  readonly fields: Fields;
  readonly ipv6Bits: number;
}

async function run(args: readonly string[], streams: Streams): Promise<number> {
  const { positionals: paths, values } = readArguments(args, OPTIONS);
  if (paths.length === 0) throw new UsageError("name a log, such as npx trypema size access.log, or - for stdin");
  const text = (name: keyof typeof OPTIONS) => values[name] as string | undefined;
  const format = text("format");
  const settings: Settings = {
    format: format === undefined ? undefined : choice("format", format, FORMATS),
    fields: { time: text("time"), client: text("client"), cost: text("cost") },
    ipv6Bits: bitsFrom("--ipv6-prefix", text("ipv6-prefix") ?? "64"),
  };
  const spool = new Spool("time");
  const byClient = new Spool("client");
  const progress = new ProgressLine(streams.stderr);
  try {
    const { facts, names } = await readLogs(paths, settings, spool, progress, streams);
    const onProgress = (what: string) => (share: number) => progress.show(`${what} ${Math.floor(100 * share)} %`);
    const tell: RequestReader = (timeMs, client, cost) => byClient.add(timeMs, client, cost);
    const together = await measureTogether(spool, tell, onProgress("sorting"));
    spool.close();
    const report = await makeReport({ facts, names, together, byClient }, onProgress("replaying"));
    progress.clear();
    const { json: isJson } = values;
    const page = text("html");
    if (page !== undefined) await write(page, reportPage(report));
    const lines = isJson ? [printableJson(report)] : reportLines(report, (heading) => bold(heading, streams.stdout));
    streams.stdout.write(`${lines.join("\n")}\n`);
    return 0;
  } finally {
    progress.clear();
    spool.close();
    byClient.close();
  }
}

async function readLogs(
  paths: readonly string[],
  { format, fields, ipv6Bits }: Settings,
  spool: Spool,
  progress: ProgressLine,
  { stdin }: Streams,
): Promise<{ facts: LogFacts; names: readonly string[] }> {
  const reading = nothingRead();
  const clients = new Clients(ipv6Bits);
  const cutOff: string[] = [];
  // All are looked for first: a name that is wrong shall not cost the minutes that the others take.
  const sources = [];
  for (const path of paths) sources.push(await findSource(path, stdin));
  for (const source of sources) {
    const reader = new LogReader(source.name, format, fields, { reading, clients, spool });
    const onProgress = (bytes: number) => {
      const share = source.bytes === undefined ? "" : `${percent(Math.floor((100 * bytes) / source.bytes) / 100)}, `;
      progress.show(`reading ${source.name}: ${share}${grouped(reading.lines)} lines`);
    };
    const reason = await readLines(source, (line) => reader.read(line), onProgress);
    reader.end();
    if (reason !== undefined)
      cutOff.push(`${source.name} ended after ${grouped(reader.lines)} lines, because ${reason}`);
  }
  if (reading.requests === 0 || clients.names.length === 0) throw nothingFound(reading, cutOff);
  return { facts: factsOf(reading, clients, paths, cutOff), names: clients.names };
}

function factsOf(reading: Reading, { names }: Clients, logs: readonly string[], cutOff: readonly string[]): LogFacts {
  const { lines, requests, free, hasCosts, hasWholeSeconds, firstMs, lastMs, broken, firstBroken } = reading;
  return {
    ...{ logs, cutOff, lines, requests, free, hasWholeSeconds, spanMs: lastMs - firstMs },
    ...{ clients: names.length, counts: hasCosts ? "costs" : "requests" },
    ...{ from: new Date(firstMs).toISOString(), to: new Date(lastMs).toISOString() },
    broken: { lines: broken, first: firstBroken },
  };
}

function nothingFound({ lines, firstBroken }: Reading, cutOff: readonly string[]): Failure {
  const [first] = firstBroken;
  if (first !== undefined) {
    return new Failure(
      `none of ${grouped(lines)} lines could be read; ${first.where}: ${first.problem}: ${first.line}`,
    );
  }
  return new Failure(cutOff[0] ?? "there is no request in it");
}

async function write(path: string, page: string): Promise<void> {
  try {
    await writeFile(path, page);
  } catch (error) {
    throw new Failure(`${printable(path)} can't be written: ${printable((error as Error).message)}`);
  }
}
