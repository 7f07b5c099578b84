// What a guard of Nest is called for: a request of Express or Fastify, a field of GraphQL, a message of a socket or of
// a microservice. The limiters see all of them as requests.

import type { IncomingMessage, ServerResponse } from "node:http";
import type { ExecutionContext } from "@nestjs/common";
import { fieldValue } from "../../http/headers.ts";
import type { Fields } from "../../http/index.ts";
import { AdapterRequest } from "../../http/request.ts";
import { NodeRequest, setFields } from "../node-message.ts";

/** What of a request or a response is looked at, whichever platform it is of. */
interface Platform {
  readonly raw?: unknown;
  readonly headers?: unknown;
  readonly socket?: unknown;
  readonly app?: { get?(setting: string): unknown };
  readonly res?: unknown;
}

/** The response of Express, of node:http, or the reply of Fastify. */
export type PlatformResponse = ServerResponse & { readonly raw?: ServerResponse };

interface Parts {
  readonly request: unknown;
  readonly response: unknown;
}

/** The context of GraphQL: the forms that its drivers give it. */
interface GraphqlContext {
  readonly req?: { readonly extra?: { readonly request?: unknown }; readonly res?: unknown };
  readonly request?: GraphqlContext["req"];
  readonly reply?: { readonly request?: GraphqlContext["req"] };
  readonly res?: unknown;
}

const NO_PARTS: Parts = { request: undefined, response: undefined };

/**
 * Returns what the handler is called for: the request of Express or Fastify, on GraphQL the request of the operation,
 * on a gateway the client, in a microservice the data of the message. A key function can find the user there.
 *
 * `key: ({ raw }) => requestOf(raw).user?.id`
 *
 * @param context what Nest gives guards and interceptors; the limiters' `raw`
 */
// biome-ignore lint/suspicious/noExplicitAny: only the application knows its requests.
export function requestOf(context: ExecutionContext): any {
  return partsOf(context).request;
}

function partsOf(context: ExecutionContext): Parts {
  switch (context.getType<string>()) {
    case "http":
      return { request: context.switchToHttp().getRequest(), response: context.switchToHttp().getResponse() };
    case "graphql":
      return partsOfGraphql(context.getArgs());
    case "ws":
      return { request: context.switchToWs().getClient(), response: undefined };
    case "rpc":
      return { request: context.switchToRpc().getData(), response: undefined };
    default:
      return NO_PARTS;
  }
}

/** The arguments of a resolver end with the context and the info. */
function partsOfGraphql(args: readonly unknown[]): Parts {
  const context = (args.at(-2) ?? {}) as GraphqlContext;
  const given = context.req ?? context.request ?? context.reply?.request;
  // A subscription has the request that opened its socket.
  const request = given?.extra?.request ?? given;
  return { request, response: [context.res, context.reply, given?.res].find(isResponse) };
}

/** The reply that Mercurius gives to a subscription has no response. */
function isResponse(response: unknown): boolean {
  return typeof (response as PlatformResponse | undefined)?.getHeader === "function";
}

/** What a handler can look its reservation up by: its request, or the info of its field. */
export function handleOf(context: ExecutionContext): object | undefined {
  const handle = context.getType<string>() === "graphql" ? context.getArgs().at(-1) : requestOf(context);
  return context.getType() === "http" || context.getType<string>() === "graphql" ? handle : undefined;
}

/** A call of a handler, as limiters see it. */
export type HandlerRequest = AdapterRequest<ExecutionContext> & { readonly response: PlatformResponse | undefined };

/** @returns one without a message where there is no HTTP request behind the call, or none that can be found */
export function handlerRequestOf(context: ExecutionContext): HandlerRequest {
  const { request, response } = partsOf(context);
  const isSocket = context.getType() === "ws";
  // Socket.IO keeps the request that opened the socket in this property.
  const platform = (isSocket ? (request as { request?: unknown } | undefined)?.request : request) as Platform;
  // A message of a microservice is data that its caller writes. It may look like a request with any address.
  const message = context.getType() === "rpc" ? undefined : messageOf(platform);
  if (message === undefined) return new RequestWithoutMessage(context);
  return new RequestOfMessage(context, message, platform, response as PlatformResponse | undefined);
}

/** Fastify's request has the message of node:http, and Express' request is one. */
function messageOf(platform: Platform | undefined): IncomingMessage | undefined {
  const message = (platform?.raw ?? platform) as Platform | undefined;
  return typeof message?.headers === "object" && message.socket ? (message as IncomingMessage) : undefined;
}

/** Stands for the response where it is not known: the call isn't answered while the guard decides about it. */
const UNANSWERED = { writableEnded: false } as ServerResponse;

class RequestOfMessage extends NodeRequest<ExecutionContext> {
  readonly response: PlatformResponse | undefined;
  readonly #platform: Platform;

  constructor(
    context: ExecutionContext,
    message: IncomingMessage,
    platform: Platform,
    response: PlatformResponse | undefined,
  ) {
    super(context, message, response?.raw ?? response ?? UNANSWERED);
    this.#platform = platform;
    this.response = response;
  }

  override get proxySetting(): string | undefined {
    const { app, raw } = this.#platform;
    // All requests of Express have `ips`, but those of Fastify only with the option trustProxy.
    if (raw !== undefined) return "ips" in this.#platform ? "trustProxy" : undefined;
    return app?.get?.("trust proxy") ? "trust proxy" : undefined;
  }
}

/** A message of a microservice, or of a socket that doesn't keep the request that opened it. */
export class RequestWithoutMessage extends AdapterRequest<ExecutionContext> {
  readonly raw: ExecutionContext;
  readonly response = undefined;
  readonly path = "/";
  readonly peerAddress = undefined;
  readonly isAnswered = false;

  constructor(context: ExecutionContext) {
    super();
    this.raw = context;
  }

  get method(): string {
    return this.raw.getType<string>().toUpperCase();
  }

  headerOf(): undefined {
    return undefined;
  }
}

/** Sets header fields of the response of Express, of node:http, or of Fastify's reply. */
export function setResponseFields(response: PlatformResponse, fields: Fields): void {
  // The reply of Fastify has most of the methods of a response, but some other names of them.
  const { raw } = response as unknown as { raw?: ServerResponse };
  if (raw === undefined) setFields(response, fields);
  else if (!raw.headersSent) {
    const reply = response as unknown as {
      header(name: string, value: string): void;
      getHeader(name: string): unknown;
    };
    for (let i = 0; i < fields.length; i += 2) {
      reply.header(fields[i]!, fieldValue(fields[i]!, fields[i + 1]!, reply));
    }
  }
}
