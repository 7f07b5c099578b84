// What Express, Fastify, Koa and node:http have in common: the messages of node:http.

import type { IncomingMessage, OutgoingMessage, ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { EXPOSED_FIELDS, fieldValue } from "../http/headers.ts";
import { type Answer, type Fields, pathOf, type Verdict } from "../http/index.ts";
import { AdapterRequest } from "../http/request.ts";
import { peerAddressOf } from "./node-peer.ts";

/** A request over a message of node:http, and over what a framework makes of it. */
export class NodeRequest<Raw> extends AdapterRequest<Raw> {
  readonly raw: Raw;
  readonly #message: IncomingMessage & { readonly originalUrl?: string };
  readonly #response: ServerResponse;

  constructor(raw: Raw, message: IncomingMessage, response: ServerResponse) {
    super();
    this.raw = raw;
    this.#message = message;
    this.#response = response;
  }

  get isAnswered(): boolean {
    return this.#response.writableEnded;
  }

  get method(): string {
    return this.#message.method!;
  }

  get path(): string {
    // Express takes the path that a router is mounted at away from `url`.
    return pathOf(this.#message.originalUrl ?? this.#message.url!);
  }

  get peerAddress(): string | undefined {
    return peerAddressOf(this.#message);
  }

  headerOf(name: string): string | undefined {
    return messageHeader(this.#message, name);
  }
}

/** A header of a message. The headers are an object that inherits properties, such as `constructor`: no headers. */
export function messageHeader({ headers }: IncomingMessage, name: string): string | undefined {
  return Object.hasOwn(headers, name) ? textOf(headers[name]) : undefined;
}

export function setFields(response: OutgoingMessage, fields: Fields): void {
  // Something else may have answered meanwhile, such as a timeout.
  if (response.headersSent) return;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    response.setHeader(name, fieldValue(name, fields[i + 1]!, response));
  }
}

/** Sets the fields that the response doesn't have yet. */
export function setMissingFields(response: OutgoingMessage, fields: Fields): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (name === EXPOSED_FIELDS || !response.hasHeader(name)) setFields(response, [name, fields[i + 1]!]);
  }
}

export function sendAnswer(response: ServerResponse, answer: Answer): void {
  if (setHead(response, answer)) response.end(answer.body);
}

/** Sets the status and the fields of an answer. Returns false where something else has answered meanwhile. */
export function setHead(response: ServerResponse, { status, fields }: Answer): boolean {
  if (response.headersSent) return false;
  response.statusCode = status;
  setFields(response, fields);
  return true;
}

/**
 * Settles when the response has been sent. A response that ended early is not settled, so it stays counted. Node says
 * that a response has finished also when the connection broke while it was being sent, and then takes the socket away
 * from the response, so the socket is looked at before Node's own listener runs.
 */
export function settleAtEnd(response: ServerResponse, settle: Verdict["settle"]): void {
  if (settle === undefined) return;
  keepHeaders(response);
  response.prependOnceListener("finish", () => {
    if (!isSent(response)) return;
    settle({ status: response.statusCode, header: (name) => textOf(response.getHeader(name)) });
  });
}

/**
 * Whether a response that has finished was sent as a whole. Over HTTP/2 Node says that a response has finished whenever
 * its stream closes, also if the client has reset the stream before anything was sent.
 */
function isSent(response: ServerResponse): boolean {
  // What stands in for a server, in tests or in a serverless function, may make responses without their request.
  const { req, socket } = response as Partial<ServerResponse>;
  if (req?.httpVersionMajor !== 2) return socket?.destroyed !== true;
  const { stream } = response as unknown as Http2ServerResponse;
  return stream.writableFinished && !stream.aborted;
}

/**
 * Has the response remember the headers that `writeHead` is given. Node does so only for a response that already has
 * headers, or had some.
 */
function keepHeaders(response: ServerResponse): void {
  if (response.headersSent || response.getHeaderNames().length > 0) return;
  response.setHeader("x-ratelimit", "");
  response.removeHeader("x-ratelimit");
}

/** A header's value as one text. Several lines of the same name are joined by commas. */
export function textOf(value: number | string | readonly string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value?.toString();
}
