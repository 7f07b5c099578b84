import { expect, it } from "vitest";
import { UsageError } from "../command.ts";
import { CombinedParser, isCombined } from "./combined.ts";
import { CsvParser } from "./csv.ts";
import { JsonParser } from "./json-lines.ts";
import type { Fields, LineParser } from "./request.ts";
import { timeOf } from "./time.ts";

const GUESSED: Fields = { time: undefined, client: undefined, cost: undefined };
const NOON_MS = Date.UTC(2026, 9, 10, 12, 0, 0);

/** What the parser reads of each line: the request, or what is wrong. */
function parsed(parser: LineParser, ...lines: string[]): unknown[] {
  return lines.map((line) => {
    const request = { timeMs: 0, client: "", cost: 0 };
    const problem = parser.parse(line, request);
    return problem ?? [request.timeMs - NOON_MS, request.client, request.cost];
  });
}

it.each([
  ["10/Oct/2026:12:00:00 +0000", NOON_MS],
  ["10/Oct/2026:05:00:00 -0700", NOON_MS],
  ["10/Oct/2026:17:30:00.250 +0530", NOON_MS + 250],
  ["2026-10-10T12:00:00Z", NOON_MS],
  ["2026-10-10 12:00:00", NOON_MS],
  ["2026-10-10T12:00:00.123456789Z", NOON_MS + 123.456789],
  ["2026-10-10 12:00:00,125 UTC", NOON_MS + 125],
  ["2026-10-10T09:30:00-02:30", NOON_MS],
  [NOON_MS / 1_000 + 0.5, NOON_MS + 500],
  [String(NOON_MS / 1_000), NOON_MS],
  [NOON_MS, NOON_MS],
  [NOON_MS * 1e3, NOON_MS],
  [NOON_MS * 1e6, NOON_MS],
])("takes %s for a time", (value, ms) => {
  expect(timeOf(value)).toBeCloseTo(ms, 3);
});

it.each([
  ...["31/Apr/2026:12:00:00 +0000", "10/Foo/2026:12:00:00 +0000", "10/Oct/2026:24:00:00 +0000", "2026-13-01T00:00:00Z"],
  ...[
    "2026-10-10T12:00:00+25:99",
    "2026-10-10T12:00:00+16:00",
    "10/Oct/2026:12:00:00 +0060",
    "10/Oct/2026:12:00:00 -1600",
  ],
  ...["0099-10-10T12:00:00Z", "10/Oct/0099:12:00:00 +0000", "1969-12-31T23:59:59Z"],
  ...["", "noon", "-5", "1e5", "0x10", 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e30, null, undefined, true, {}],
])("takes %j for no time", (value) => {
  expect(timeOf(value)).toBeNaN();
});

it("reads the combined and the common log format, of nginx and of Apache", () => {
  const combined = `203.0.113.9 - - [10/Oct/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 2326 "-" "Mozilla/5.0 [en] (X11)"`;
  const common = `2001:db8::1 - frank [10/Oct/2026:12:00:01 +0000] "GET /a.gif HTTP/1.0" 304 -`;
  const refused = `203.0.113.9 - - [10/Oct/2026:12:00:02 +0000] "\\x16\\x03\\x01" 400 157 "-" "-"`;
  expect([combined, common, refused].every(isCombined)).toBe(true);
  expect(parsed(new CombinedParser(GUESSED), combined, common, refused)).toEqual([
    [0, "203.0.113.9", 1],
    [1_000, "2001:db8::1", 1],
    [2_000, "203.0.113.9", 1],
  ]);
  const byUser = new CombinedParser({ ...GUESSED, client: "user", cost: "bytes" });
  expect(parsed(byUser, combined, common.replace("304 -", "200 12"), common)).toEqual([
    "no user in it",
    [1_000, "frank", 12],
    [1_000, "frank", 0],
  ]);
});

it("takes no time from a user's name, which the client chooses", () => {
  const forged = `203.0.113.9 - a [01/Jan/2001:00:00:00 +0000] b [10/Oct/2026:12:00:00 +0000] "GET /?q=] [x] HTTP/1.1" 200 1`;
  expect(parsed(new CombinedParser(GUESSED), forged)).toEqual([[0, "203.0.113.9", 1]]);
});

it("says what is wrong with a line of a combined log", () => {
  const lines = ["nothing", "203.0.113.9 - - [yesterday]", ` - - [10/Oct/2026:12:00:00 +0000] "GET /" 200 1`];
  expect(parsed(new CombinedParser(GUESSED), ...lines)).toEqual([
    "no [time] in it",
    "its [time] is no time",
    "no client in it",
  ]);
});

it("finds time and client in the JSON of common servers", () => {
  const caddy = { ts: NOON_MS / 1_000, request: { remote_ip: "203.0.113.9", client_ip: "203.0.113.7" } };
  const pino = { level: 30, time: NOON_MS, req: { remoteAddress: "203.0.113.9" } };
  const traefik = { time: "2026-10-10T12:00:00Z", ClientHost: "203.0.113.9" };
  const nginx = { msec: String(NOON_MS / 1_000), remote_addr: "203.0.113.9" };
  const elastic = { "@timestamp": "2026-10-10T12:00:00.000Z", "client.ip": "203.0.113.9" };
  for (const record of [pino, traefik, nginx, elastic]) {
    expect(parsed(new JsonParser(GUESSED), JSON.stringify(record))).toEqual([[0, "203.0.113.9", 1]]);
  }
  expect(parsed(new JsonParser(GUESSED), JSON.stringify(caddy))).toEqual([[0, "203.0.113.7", 1]]);
});

it("takes the fields of JSON that it is told, by paths", () => {
  const parser = new JsonParser({ time: "at.end", client: "user.id", cost: "usage.tokens" });
  const line = (record: object) => JSON.stringify(record);
  const at = { end: NOON_MS };
  expect(
    parsed(
      parser,
      line({ at, user: { id: 7 }, usage: { tokens: 12 } }),
      line({ at, user: { id: 7 }, usage: { tokens: 1.5 } }),
      line({ at, user: {} }),
      line({ user: { id: 7 } }),
      "[1]",
      "{",
      `{"at":{"end":${NOON_MS}},"user":{"__proto__":{"id":"x"}}}`,
    ),
  ).toEqual([
    [0, "7", 12],
    "the cost is no whole number from 0 to 4294967295",
    "no client in the field user.id",
    "no time in the field at.end",
    "no object of JSON",
    "no object of JSON",
    "no client in the field user.id",
  ]);
});

it("reads CSV by the names of its columns, in quotes too", () => {
  const lines = ["Client IP;Time;Cost", `"a;""b""";2026-10-10 12:00:00;3`, "c;2026-10-10 12:00:01;1", "", "d;x;1"];
  expect(parsed(new CsvParser(GUESSED), ...lines)).toEqual([
    "",
    [0, 'a;"b"', 3],
    [1_000, "c", 1],
    "",
    "no time in column 2",
  ]);
});

it("reads CSV without names: the first time, and the first other column", () => {
  expect(parsed(new CsvParser(GUESSED), "2026-10-10T12:00:00Z,a,200")).toEqual([[0, "a", 1]]);
  expect(parsed(new CsvParser(GUESSED), "a,2026-10-10T12:00:00Z")).toEqual([[0, "a", 1]]);
  const asked = new CsvParser({ time: "1", client: "3", cost: "2" });
  expect(parsed(asked, `${NOON_MS},5,a`)).toEqual([[0, "a", 5]]);
});

it("refuses columns that aren't there, and options that a format has no use for", () => {
  const names = "time,client";
  const request = { timeMs: 0, client: "", cost: 0 };
  for (const client of ["user", "3", "0"]) {
    expect(() => new CsvParser({ ...GUESSED, client }).parse(names, request)).toThrow(UsageError);
  }
  expect(() => new CombinedParser({ ...GUESSED, time: "ts" })).toThrow(UsageError);
  expect(() => new CombinedParser({ ...GUESSED, client: "agent" })).toThrow(UsageError);
  expect(() => new CombinedParser({ ...GUESSED, cost: "tokens" })).toThrow(UsageError);
});
