// Logs with an object of JSON on each line, as of pino, Caddy, Traefik, Envoy, and nginx with a log_format for it.

import { printable } from "../text.ts";
import { type Fields, type LineParser, type LoggedRequest, setCost } from "./request.ts";
import { timeOf } from "./time.ts";

/** Where logs have the time and the client, in the order in which they are looked for. */
const TIME_FIELDS = [
  ...["time", "timestamp", "@timestamp", "ts", "time_iso8601", "msec", "start_time", "StartUTC", "datetime", "date"],
  ...["time_local", "t"],
];
const CLIENT_FIELDS = [
  ...["client", "client_ip", "clientIp", "clientip", "client.ip", "request.client_ip", "remote_addr", "remote_ip"],
  ...["request.remote_ip", "remoteAddress", "req.remoteAddress", "ClientHost", "ip", "key", "user"],
];

type Json = Readonly<Record<string, unknown>>;

export function isJson(line: string): boolean {
  return line.startsWith("{");
}

export class JsonParser implements LineParser {
  #time: string | undefined;
  #client: string | undefined;
  readonly #cost: string | undefined;

  constructor({ time, client, cost }: Fields) {
    this.#time = time;
    this.#client = client;
    this.#cost = cost;
  }

  parse(line: string, request: LoggedRequest): string | undefined {
    const object = objectFrom(line);
    if (object === undefined) return "no object of JSON";
    this.#time ??= TIME_FIELDS.find((field) => !Number.isNaN(timeOf(fieldOf(object, field))));
    this.#client ??= CLIENT_FIELDS.find((field) => clientFrom(fieldOf(object, field)) !== "");
    if (this.#time === undefined) return "no field that is known to have the time: name it with --time FIELD";
    if (this.#client === undefined) return "no field that is known to have the client: name it with --client FIELD";
    request.timeMs = timeOf(fieldOf(object, this.#time));
    if (Number.isNaN(request.timeMs)) return `no time in the field ${printable(this.#time)}`;
    request.client = clientFrom(fieldOf(object, this.#client));
    if (request.client === "") return `no client in the field ${printable(this.#client)}`;
    request.cost = 1;
    return this.#cost === undefined ? undefined : setCost(request, fieldOf(object, this.#cost));
  }
}

function objectFrom(line: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

/** The field of that name, or that is at the end of a path with dots. */
function fieldOf(object: Json, path: string): unknown {
  if (Object.hasOwn(object, path)) return object[path];
  let value: unknown = object;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Json)[name];
  }
  return value;
}

function clientFrom(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
