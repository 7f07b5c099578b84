// `trypema/node`: a handler of node:http around another.

import type { IncomingMessage, ServerResponse } from "node:http";
import { isPromise } from "../http/awaitable.ts";
import {
  type ClientAddressOptions,
  clientAddress,
  type Denial,
  Guard,
  type RateLimitOptions,
  type Verdict,
} from "../http/index.ts";
import { messageHeader, NodeRequest, sendAnswer, setFields, setHead, settleAtEnd } from "./node-message.ts";
import { peerAddressOf } from "./node-peer.ts";

export * from "../http/index.ts";

/** A handler of `node:http`. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Answers a denied request with the methods of node:http. */
export type DenialHandler = (request: IncomingMessage, response: ServerResponse, denial: Denial) => unknown;

/**
 * Returns the handler with limits. If a callback of the limits or the handler fails, the answer is a 500, unless an
 * answer has begun, and `onError` is called.
 *
 * `createServer(rateLimit({ provider, rate: perMinute(60) }, (request, response) => response.end("hello")))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
export function rateLimit(
  options: RateLimitOptions<IncomingMessage, DenialHandler>,
  handler: NodeHandler,
): NodeHandler {
  const guard = new Guard(options);
  const fail = (error: unknown, response: ServerResponse) => {
    guard.reportCallback(error);
    if (response.headersSent) response.destroy();
    else sendAnswer(response, { status: 500, fields: [], body: "" });
  };
  const carryOut = (verdict: Verdict, request: IncomingMessage, response: ServerResponse) => {
    const { answer, denial, fields, settle } = verdict;
    if (answer !== undefined) {
      if (options.handler === undefined) return sendAnswer(response, answer);
      return setHead(response, answer) ? options.handler(request, response, denial!) : undefined;
    }
    setFields(response, fields);
    settleAtEnd(response, settle);
    return handler(request, response);
  };
  return (request, response) => {
    try {
      const verdict = guard.check(new NodeRequest(request, request, response));
      const done = isPromise(verdict)
        ? verdict.then((given) => carryOut(given, request, response))
        : carryOut(verdict, request, response);
      if (isPromise(done)) return done.then(undefined, (error) => fail(error, response));
      return undefined;
    } catch (error) {
      return fail(error, response);
    }
  };
}

/**
 * Finds the client's address in a message of node:http that no handler with limits gets, such as the request that
 * opened a websocket. As a key it is the same as `clientAddress` with these options.
 *
 * `const addressOf = messageClientAddress({ proxies: 1 }); const address = addressOf(request);`
 *
 * @returns undefined if the address isn't known: then refuse the client
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function messageClientAddress(options?: ClientAddressOptions): (message: IncomingMessage) => string | undefined {
  const key = clientAddress(options);
  return (message) =>
    key({
      raw: message,
      method: message.method ?? "GET",
      path: "/",
      peerAddress: peerAddressOf(message),
      header: (name) => messageHeader(message, name),
    });
}
