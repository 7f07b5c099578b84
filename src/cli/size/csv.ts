// CSV, with a line of names at the top or without one. A record is a line: a quoted field can't have a line break.

import { UsageError } from "../command.ts";
import { printable } from "../text.ts";
import { type Fields, type LineParser, type LoggedRequest, setCost } from "./request.ts";
import { timeOf } from "./time.ts";

const SEPARATORS = [",", ";", "\t"];
/** Names of columns, without signs and capitals. */
const TIME_NAMES = ["time", "timestamp", "ts", "datetime", "date", "at", "createdat", "timems"];
const CLIENT_NAMES = [
  ...["client", "clientip", "key", "user", "userid", "ip", "address", "remoteaddr", "remoteip", "customer"],
  ...["customerid", "account", "accountid", "apikey", "host"],
];
const COST_NAMES = ["cost", "weight"];

interface Columns {
  readonly time: number;
  readonly client: number;
  /** -1 for none. */
  readonly cost: number;
}

export class CsvParser implements LineParser {
  readonly #fields: Fields;
  #separator = "";
  #columns: Columns | undefined;

  constructor(fields: Fields) {
    this.#fields = fields;
  }

  /** @throws {UsageError} where the first line has no column of a name that was asked for */
  parse(line: string, request: LoggedRequest): string | undefined {
    if (line === "") return "";
    if (this.#columns === undefined) {
      this.#separator = SEPARATORS.find((one) => line.includes(one)) ?? ",";
      const cells = cellsOf(line, this.#separator);
      const isNames = cells.every((cell) => Number.isNaN(timeOf(cell)));
      this.#columns = isNames ? columnsByName(cells, this.#fields) : columnsByPlace(cells, this.#fields);
      if (this.#columns !== undefined && isNames) return "";
    }
    if (this.#columns === undefined) return "no names of columns, and no time: name them with --time and --client";
    const cells = cellsOf(line, this.#separator);
    const { time, client, cost } = this.#columns;
    request.timeMs = timeOf(cells[time]);
    if (Number.isNaN(request.timeMs)) return `no time in column ${time + 1}`;
    request.client = cells[client] ?? "";
    if (request.client === "") return `no client in column ${client + 1}`;
    request.cost = 1;
    return cost === -1 ? undefined : setCost(request, cells[cost]);
  }
}

function cellsOf(line: string, separator: string): string[] {
  if (!line.includes('"')) return line.split(separator).map((cell) => cell.trim());
  const cells: string[] = [];
  for (let at = 0; at <= line.length; at++) {
    let cell = "";
    if (line[at] === '"') {
      let end = line.indexOf('"', at + 1);
      while (end !== -1 && line[end + 1] === '"') end = line.indexOf('"', end + 2);
      if (end === -1) end = line.length;
      cell = line.slice(at + 1, end).replaceAll('""', '"');
      at = end + 1;
    }
    const next = line.indexOf(separator, at);
    const end = next === -1 ? line.length : next;
    cells.push((cell + line.slice(at, end)).trim());
    at = end;
  }
  return cells;
}

/** Undefined where no column has the time or the client. */
function columnsByName(names: readonly string[], fields: Fields): Columns | undefined {
  const plain = names.map((name) => name.toLowerCase().replaceAll(/[^a-z0-9]/g, ""));
  const find = (option: keyof Fields, known: readonly string[]) => {
    const asked = fields[option];
    if (asked !== undefined) return columnOf(option, asked, names);
    return known.map((name) => plain.indexOf(name)).find((column) => column !== -1) ?? -1;
  };
  const columns = {
    time: find("time", TIME_NAMES),
    client: find("client", CLIENT_NAMES),
    cost: find("cost", COST_NAMES),
  };
  return columns.time === -1 || columns.client === -1 ? undefined : columns;
}

/** Without names the first time is the time, and the first other column the client. */
function columnsByPlace(cells: readonly string[], fields: Fields): Columns {
  const place = (option: keyof Fields) => {
    const asked = fields[option];
    return asked === undefined
      ? undefined
      : columnOf(
          option,
          asked,
          cells.map(() => ""),
        );
  };
  const time = place("time") ?? cells.findIndex((cell) => !Number.isNaN(timeOf(cell)));
  const client = place("client") ?? (time === 0 ? 1 : 0);
  return { time, client, cost: place("cost") ?? -1 };
}

/** A column is asked for by its name, or by its number from 1 on. */
function columnOf(option: keyof Fields, asked: string, names: readonly string[]): number {
  const column = names.indexOf(asked);
  if (column !== -1) return column;
  if (/^[1-9]\d{0,3}$/.test(asked) && Number(asked) <= names.length) return Number(asked) - 1;
  const known = names.some((name) => name !== "") ? ` (${printable(names.join(", "))})` : "";
  throw new UsageError(`--${option} ${printable(asked)}: expected one of the ${names.length} columns${known}`);
}
