// `trypema/hono`: a middleware for Hono, on any runtime.

import type { Context, Env, MiddlewareHandler } from "hono";
import { isPromise } from "../http/awaitable.ts";
import { type Fields, Guard, pathOf, type RateLimitOptions, type Verdict } from "../http/index.ts";
import { AdapterRequest } from "../http/request.ts";

export * from "../http/index.ts";

/** What only the runtime knows. */
export interface HonoOptions<E extends Env> {
  /**
   * The peer's address. Default: the one that `@hono/node-server` knows; elsewhere it is needed, or a key is.
   *
   * `(context) => getConnInfo(context).remote.address`, with that of hono/bun, hono/deno, hono/cloudflare-workers …
   */
  readonly peerAddress?: (context: Context<E>) => string | undefined;
}

/**
 * A middleware that limits what comes after it.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60) }))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
// biome-ignore lint/suspicious/noExplicitAny: the default of Hono's own middlewares, which fit into any application
export function rateLimit<E extends Env = any>(
  options: RateLimitOptions<Context<E>> & HonoOptions<E>,
): MiddlewareHandler<E> {
  const { peerAddress = nodePeerAddress, ...limits } = options;
  const guard = new Guard(limits as RateLimitOptions<Context<E>>);
  return async (context, next) => {
    const request = new HonoRequest(context, peerAddress);
    try {
      const checked = guard.check(request);
      const { answer, fields, settle }: Verdict = isPromise(checked) ? await checked : checked;
      if (answer !== undefined) {
        const headers = new Headers();
        setFields(headers, answer.fields);
        return new Response(answer.body, { status: answer.status, headers });
      }
      await next();
      if (fields.length > 0) addFields(context, fields);
      settle?.(context.res.status);
      return undefined;
    } finally {
      request.isAnswered = true;
    }
  };
}

/** After the handler, because Hono drops what was set before when a handler returns a Response of its own. */
function addFields(context: Context, fields: Fields): void {
  try {
    setFields(context.res.headers, fields);
  } catch {
    // The headers of a fetched Response can't be changed; this makes a copy.
    for (let i = 0; i < fields.length; i += 2) context.header(fields[i]!, fields[i + 1]!);
  }
}

function setFields(headers: Headers, fields: Fields): void {
  for (let i = 0; i < fields.length; i += 2) headers.set(fields[i]!, fields[i + 1]!);
}

class HonoRequest<E extends Env> extends AdapterRequest<Context<E>> {
  readonly raw: Context<E>;
  isAnswered = false;
  readonly #peerAddress: (context: Context<E>) => string | undefined;

  constructor(context: Context<E>, peerAddress: (context: Context<E>) => string | undefined) {
    super();
    this.raw = context;
    this.#peerAddress = peerAddress;
  }

  get method(): string {
    return this.raw.req.method;
  }

  get path(): string {
    return pathOf(this.raw.req.path);
  }

  get peerAddress(): string | undefined {
    return this.#peerAddress(this.raw);
  }

  headerOf(name: string): string | undefined {
    return this.raw.req.header(name);
  }
}

/** `@hono/node-server` puts the message of node:http into the environment. */
function nodePeerAddress(context: Context): string | undefined {
  const { incoming } = (context.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } };
  return incoming?.socket?.remoteAddress;
}
