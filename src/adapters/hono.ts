// `trypema/hono`: a middleware for Hono, on any runtime.

import type { Context, Env, MiddlewareHandler } from "hono";
import type { Awaitable } from "../core/types.ts";
import { isPromise } from "../http/awaitable.ts";
import { addNames, EXPOSED_FIELDS } from "../http/headers.ts";
import {
  type Answer,
  type Denial,
  type Fields,
  Guard,
  pathOf,
  type RateLimitOptions,
  type Verdict,
} from "../http/index.ts";
import { AdapterRequest } from "../http/request.ts";
import { type NodePeer, peerAddressOf } from "./node-peer.ts";
import { noteDenial, responseTo, withFields } from "./web-response.ts";

export * from "../http/index.ts";

/** Options for what only the runtime knows. */
export interface HonoOptions<E extends Env> {
  /**
   * Returns the peer's address. Default: the address that `@hono/node-server` knows. On other runtimes give this
   * option, or a `key`.
   *
   * `(context) => getConnInfo(context).remote.address`, with `getConnInfo` of hono/bun, hono/deno,
   * hono/cloudflare-workers …
   */
  readonly peerAddress?: (context: Context<E>) => string | undefined;
}

/** Answers a denied request with Hono's own methods. */
export type DenialHandler<E extends Env> = (context: Context<E>, denial: Denial) => Awaitable<Response>;

/**
 * Makes a middleware that limits the routes after it.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60) }))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
// biome-ignore lint/suspicious/noExplicitAny: the default of Hono's own middlewares, which fit into any application
export function rateLimit<E extends Env = any>(
  options: RateLimitOptions<Context<E>, DenialHandler<E>> & HonoOptions<E>,
): MiddlewareHandler<E> {
  const { peerAddress = nodePeerAddress, ...limits } = options;
  const guard = new Guard(limits as RateLimitOptions<Context<E>, DenialHandler<E>>);
  return async (context, next) => {
    const request = new HonoRequest(context, peerAddress);
    let verdict: Verdict | undefined;
    try {
      const checked = guard.check(request);
      verdict = isPromise(checked) ? await checked : checked;
      const { answer, denial } = verdict;
      if (answer !== undefined) return await responseOf(answer, context, denial!, options.handler);
      await next();
      verdict.settle?.(responseTo(context.res));
      addFields(context, verdict.fields);
      return undefined;
    } catch (thrown) {
      // Hono has made responses of errors by now. A handler can also throw something that is no Error.
      if (verdict === undefined) throw thrown;
      verdict.settle?.(responseTo(thrown));
      throw withFields(thrown, verdict.fields, context);
    } finally {
      request.isAnswered = true;
    }
  };
}

/** The fields are set on the context, because Hono prefers them to the fields of a Response. */
async function responseOf<E extends Env>(
  { status, fields, body }: Answer,
  context: Context<E>,
  denial: Denial,
  handler: DenialHandler<E> | undefined,
): Promise<Response> {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    context.header(name, name === EXPOSED_FIELDS ? addNames(context.res.headers.get(name), value) : value);
  }
  // Hono's types take only statuses that they list, so the status is cast to one of these.
  context.status(status as 429);
  // A handler may return a Response that isn't made by the context.
  const response =
    handler === undefined ? context.body(body) : withFields(await handler(context, denial), fields, context);
  noteDenial(response, fields, context);
  return response;
}

/** After the handler, because Hono drops what was set before when a handler returns a Response of its own. */
function addFields(context: Context, fields: Fields): void {
  const { res } = context;
  const response = withFields(res, fields, context);
  if (response === res) return;
  // Hono copies what an earlier response has to the one that takes its place.
  context.res = undefined;
  context.res = response;
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
  const { incoming } = (context.env ?? {}) as { incoming?: Partial<NodePeer> };
  return incoming?.socket && peerAddressOf(incoming as NodePeer);
}
