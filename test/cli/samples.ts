// Access logs like those of a small site: many people who look at a page or two, some who stay, and one crawler.

import { seededRandom } from "trypema/testing";

export interface LoggedRequest {
  readonly timeMs: number;
  readonly client: string;
}

const START_MS = Date.UTC(2026, 9, 10);
const DAY_MS = 86_400_000;
const CLIENTS = 400;
const CRAWLER = "198.51.100.7";

/** The requests of two days, in the order of their times. */
export function sampleRequests(): LoggedRequest[] {
  const random = seededRandom(7);
  const requests: LoggedRequest[] = [];
  for (let number = 0; number < CLIENTS; number++) {
    const client = `203.0.${113 + Math.floor(number / 250)}.${1 + (number % 250)}`;
    const visits = 1 + Math.floor(8 * random() ** 3);
    for (let visit = 0; visit < visits; visit++) {
      const startMs = START_MS + random() * (2 * DAY_MS - 3_600_000);
      const pages = 1 + Math.floor(30 * random() ** 4);
      for (let page = 0, timeMs = startMs; page < pages; page++, timeMs += 2_000 + 40_000 * random()) {
        requests.push({ timeMs: Math.floor(timeMs), client });
      }
    }
  }
  for (let timeMs = START_MS + 2 * 3_600_000; timeMs < START_MS + 5 * 3_600_000; timeMs += 200 + 3_000 * random()) {
    requests.push({ timeMs: Math.floor(timeMs), client: CRAWLER });
  }
  return requests.sort((one, other) => one.timeMs - other.timeMs);
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** A line as nginx writes it by default. */
export function combinedLine({ timeMs, client }: LoggedRequest): string {
  const [date = "", clock = ""] = new Date(timeMs).toISOString().slice(0, 19).split("T");
  const [year, month, day] = date.split("-");
  const time = `${day}/${MONTHS[Number(month) - 1]}/${year}:${clock} +0000`;
  return `${client} - - [${time}] "GET /items?page=2 HTTP/1.1" 200 5316 "-" "Mozilla/5.0"`;
}

export function jsonLine({ timeMs, client }: LoggedRequest): string {
  return JSON.stringify({ ts: timeMs / 1_000, request: { client_ip: client, uri: "/items" }, status: 200 });
}

export function csvLines(requests: readonly LoggedRequest[]): string[] {
  return ["when,customer,tokens", ...requests.map(({ timeMs, client }) => `${timeMs},${client},1`)];
}
