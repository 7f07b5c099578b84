// The common and combined log formats of Apache and nginx, of which both begin alike:
// `203.0.113.9 - frank [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 2326`

import { UsageError } from "../command.ts";
import { printable } from "../text.ts";
import { type Fields, type LineParser, type LoggedRequest, setCost } from "./request.ts";
import { timeOf } from "./time.ts";

const LOOKS_COMBINED = /^\S+ .*\[\d{2}\/[A-Z][a-z]{2}\/\d{4}:/;

/** The line's third word is the user; the bytes come after the status. */
const CLIENTS = ["address", "user"];
const BYTES_AFTER_REQUEST = /^ "(?:[^"\\]|\\.)*" \d{3} (\d+|-)(?: |$)/;

export function isCombined(line: string): boolean {
  return LOOKS_COMBINED.test(line);
}

export class CombinedParser implements LineParser {
  readonly #byUser: boolean;
  readonly #costIsBytes: boolean;
  /** Most lines have the time of the line before. */
  #lastText = "";
  #lastMs = Number.NaN;

  /** @throws {UsageError} */
  constructor({ time, client, cost }: Fields) {
    if (time !== undefined)
      throw new UsageError("--time is for JSON and CSV; in a combined log the time has its place");
    if (client !== undefined && !CLIENTS.includes(client)) {
      throw new UsageError(`--client ${printable(client)}: of a combined log it is address or user`);
    }
    if (cost !== undefined && cost !== "bytes") {
      throw new UsageError(`--cost ${printable(cost)}: of a combined log it is bytes`);
    }
    this.#byUser = client === "user";
    this.#costIsBytes = cost === "bytes";
  }

  parse(line: string, request: LoggedRequest): string | undefined {
    // A user's name is what the client says. It may have brackets, but its quotes are escaped, so the time is the one
    // before the first quote.
    const quoted = line.indexOf('] "');
    const close = quoted === -1 ? line.indexOf("]") : quoted;
    const open = line.lastIndexOf(" [", close);
    if (open === -1 || close === -1) return "no [time] in it";
    request.timeMs = this.#timeOf(line.slice(open + 2, close));
    if (Number.isNaN(request.timeMs)) return "its [time] is no time";
    const space = line.indexOf(" ");
    const client = this.#byUser ? line.slice(line.indexOf(" ", space + 1) + 1, open) : line.slice(0, space);
    if (client === "" || client === "-") return this.#byUser ? "no user in it" : "no client in it";
    request.client = client;
    request.cost = 1;
    return this.#costIsBytes ? setBytes(line.slice(close + 1), request) : undefined;
  }

  #timeOf(text: string): number {
    if (text !== this.#lastText) {
      this.#lastMs = timeOf(text);
      this.#lastText = text;
    }
    return this.#lastMs;
  }
}

function setBytes(rest: string, request: LoggedRequest): string | undefined {
  const [, bytes] = BYTES_AFTER_REQUEST.exec(rest) ?? [];
  if (bytes === undefined) return "no bytes after the status";
  return setCost(request, bytes === "-" ? 0 : Number(bytes));
}
