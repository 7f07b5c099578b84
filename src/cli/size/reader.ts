// Reads logs into a spool: finds out which format a log has, and counts the lines that can't be read.

import { TrypemaError } from "../../core/errors.ts";
import { printable } from "../text.ts";
import type { Clients } from "./clients.ts";
import { CombinedParser, isCombined } from "./combined.ts";
import { CsvParser } from "./csv.ts";
import { isJson, JsonParser } from "./json-lines.ts";
import type { Fields, LineParser } from "./request.ts";
import type { Spool } from "./spool.ts";

export const FORMATS = ["combined", "json", "csv"] as const;
export type Format = (typeof FORMATS)[number];

/** So many lines at the beginning may be of no format that is known. */
const LINES_TO_GUESS_BY = 20;
/** So many lines that can't be read are shown. */
const MOST_SHOWN = 3;

export interface BrokenLine {
  /** The name of the log, and the number of the line. */
  readonly where: string;
  readonly problem: string;
  /** Without characters that are harmful to a terminal, and cut. */
  readonly line: string;
}

/** What was read of all logs. */
export interface Reading {
  lines: number;
  requests: number;
  /** Requests of a cost of 0, which no limit counts. */
  free: number;
  broken: number;
  readonly firstBroken: BrokenLine[];
  firstMs: number;
  lastMs: number;
  /** Whether no time has a part of a second. */
  hasWholeSeconds: boolean;
  /** Whether any request costs something else than 1. */
  hasCosts: boolean;
}

export function nothingRead(): Reading {
  return {
    ...{ lines: 0, requests: 0, free: 0, broken: 0, firstBroken: [], hasWholeSeconds: true, hasCosts: false },
    ...{ firstMs: Number.POSITIVE_INFINITY, lastMs: Number.NEGATIVE_INFINITY },
  };
}

interface Into {
  readonly reading: Reading;
  readonly clients: Clients;
  readonly spool: Spool;
}

/** Reads one log. Always holds: while the format isn't known, `#held` has all lines that came. */
export class LogReader {
  readonly #name: string;
  readonly #fields: Fields;
  readonly #into: Into;
  readonly #request = { timeMs: 0, client: "", cost: 1 };
  readonly #held: string[] = [];
  #parser: LineParser | undefined;
  /** How many lines were read. */
  lines = 0;

  constructor(name: string, format: Format | undefined, fields: Fields, into: Into) {
    this.#name = name;
    this.#fields = fields;
    this.#into = into;
    if (format !== undefined) this.#parser = parserOf(format, fields);
  }

  /** @throws {UsageError} where options don't fit the log */
  read(line: string): void {
    if (this.#parser !== undefined) {
      this.#parse(this.#parser, line);
      return;
    }
    this.#held.push(line);
    const format = formatOf(line) ?? (this.#held.length === LINES_TO_GUESS_BY ? "csv" : undefined);
    if (format !== undefined) this.#begin(format);
  }

  end(): void {
    if (this.#parser === undefined) this.#begin("csv");
  }

  #begin(format: Format): void {
    const parser = parserOf(format, this.#fields);
    this.#parser = parser;
    for (const line of this.#held.splice(0)) this.#parse(parser, line);
  }

  #parse(parser: LineParser, line: string): void {
    const { reading } = this.#into;
    this.lines++;
    reading.lines++;
    const problem = line === "" ? "" : (parser.parse(line, this.#request) ?? this.#add());
    if (problem === undefined || problem === "") return;
    reading.broken++;
    if (reading.firstBroken.length === MOST_SHOWN) return;
    reading.firstBroken.push({ where: `${this.#name}:${this.lines}`, problem, line: printable(line) });
  }

  /** @returns what is wrong with the request */
  #add(): string | undefined {
    const { reading, clients, spool } = this.#into;
    const { timeMs, client, cost } = this.#request;
    try {
      if (cost > 0) spool.add(timeMs, clients.numberOf(client), cost);
      else reading.free++;
    } catch (error) {
      if (error instanceof TrypemaError) return "a client that is no key: a key has 1 to 255 bytes of UTF-8";
      throw error;
    }
    reading.requests++;
    if (timeMs < reading.firstMs) reading.firstMs = timeMs;
    if (timeMs > reading.lastMs) reading.lastMs = timeMs;
    if (timeMs % 1_000 !== 0) reading.hasWholeSeconds = false;
    if (cost !== 1) reading.hasCosts = true;
    return undefined;
  }
}

function formatOf(line: string): Format | undefined {
  if (isJson(line)) return "json";
  return isCombined(line) ? "combined" : undefined;
}

function parserOf(format: Format, fields: Fields): LineParser {
  if (format === "json") return new JsonParser(fields);
  return format === "csv" ? new CsvParser(fields) : new CombinedParser(fields);
}
