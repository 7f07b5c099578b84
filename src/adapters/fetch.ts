// `trypema/fetch`: a handler from Request to Response around another, for Next, Remix, Workers, Bun and Deno.

import type { Awaitable } from "../core/types.ts";
import { isPromise } from "../http/awaitable.ts";
import { type Answer, type Denial, Guard, type RateLimitOptions, type Verdict } from "../http/index.ts";
import { AdapterRequest } from "../http/request.ts";
import { noteDenial, responseTo, setFields, withFields } from "./web-response.ts";

export * from "../http/index.ts";

/**
 * A handler from `Request` to `Response`. Other arguments of the runtime come after the request. On Bun it returns
 * undefined when the request has become a websocket.
 */
export type FetchHandler<
  Input extends Request,
  Context extends unknown[],
  Output extends Response | undefined = Response,
> = (request: Input, ...context: Context) => Awaitable<Output>;

/** Makes the response to a denied request. Fields that the response doesn't have are added. */
export type DenialHandler<Input extends Request> = (request: Input, denial: Denial) => Awaitable<Response>;

/** Options for what only the runtime knows. */
export interface FetchOptions<Input extends Request, Context extends unknown[]> {
  /**
   * Returns the peer's address, from the arguments that the runtime gives its handlers. Without this option a limiter
   * needs a `key`.
   *
   * Cloudflare Workers: `(request) => request.headers.get("cf-connecting-ip") ?? undefined`; Bun: `(request, server) =>
   * server.requestIP(request)?.address`; Deno: `(request, info) => info.remoteAddr.hostname`.
   */
  readonly peerAddress?: (request: Input, ...context: Context) => string | undefined;
}

/** The longer one of two lists of arguments, of which one begins with the other. */
type LongerContext<A extends unknown[], B extends unknown[]> = A extends [...B, ...unknown[]]
  ? A
  : B extends [...A, ...unknown[]]
    ? B
    : never;

/**
 * Returns the handler with limits. It throws what the handler throws, and what callbacks of the limits throw. A
 * Response that is thrown gets the fields, and so does an error with `headers` of the type `Headers`. From any other
 * error the runtime makes a response, which can't get the fields.
 *
 * `export default { fetch: rateLimit({ provider, rate: perMinute(60), peerAddress }, handler) }`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
export function rateLimit<
  Input extends Request,
  Context extends unknown[],
  Output extends Response | undefined = Response,
>(
  options: RateLimitOptions<Input, DenialHandler<Input>> & FetchOptions<Input, Context>,
  handler: FetchHandler<Input, Context, Output>,
): (request: Input, ...context: Context) => Promise<Response | Output>;
/** The same, for a `peerAddress` and a handler with different numbers of parameters. */
export function rateLimit<
  Input extends Request,
  Context extends unknown[],
  PeerContext extends unknown[],
  Output extends Response | undefined = Response,
>(
  options: RateLimitOptions<Input, DenialHandler<Input>> & FetchOptions<Input, PeerContext>,
  handler: FetchHandler<Input, Context, Output>,
): (request: Input, ...context: LongerContext<Context, PeerContext>) => Promise<Response | Output>;
export function rateLimit<Input extends Request, Output extends Response | undefined>(
  options: RateLimitOptions<Input, DenialHandler<Input>> & FetchOptions<Input, unknown[]>,
  handler: FetchHandler<Input, unknown[], Output>,
): (request: Input, ...context: unknown[]) => Promise<Response | Output> {
  const { peerAddress, ...limits } = options;
  const guard = new Guard(limits as RateLimitOptions<Input, DenialHandler<Input>>);
  if (peerAddress === undefined) {
    guard.requireKeysOfTheirOwn("give peerAddress, or a key, or, behind a proxy, key: clientAddress({ proxies: 1 })");
  }
  return async (request, ...context) => {
    const limited = new FetchRequest(request, peerAddress?.(request, ...context));
    let verdict: Verdict | undefined;
    try {
      const checked = guard.check(limited);
      verdict = isPromise(checked) ? await checked : checked;
      const { answer, denial } = verdict;
      if (answer !== undefined) return await responseOf(answer, request, denial!, options.handler);
      const response = await handler(request, ...context);
      verdict.settle?.(responseTo(response));
      return withFields(response, verdict.fields, request);
    } catch (thrown) {
      if (verdict === undefined) throw thrown;
      verdict.settle?.(responseTo(thrown));
      throw withFields(thrown, verdict.fields, request);
    } finally {
      limited.isAnswered = true;
    }
  };
}

class FetchRequest<Raw> extends AdapterRequest<Raw> {
  readonly raw: Raw;
  readonly peerAddress: string | undefined;
  isAnswered = false;
  readonly #request: Request;

  constructor(raw: Raw & Request, peerAddress: string | undefined) {
    super();
    this.raw = raw;
    this.peerAddress = peerAddress;
    this.#request = raw;
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    return new URL(this.#request.url).pathname;
  }

  headerOf(name: string): string | undefined {
    return this.#request.headers.get(name) ?? undefined;
  }
}

async function responseOf<Input extends Request>(
  { status, body, fields }: Answer,
  request: Input,
  denial: Denial,
  handler: DenialHandler<Input> | undefined,
): Promise<Response> {
  if (handler !== undefined) {
    const response = withFields(await handler(request, denial), fields, request);
    noteDenial(response, fields, request);
    return response;
  }
  const response = new Response(request.method === "HEAD" ? null : body, { status });
  setFields(response.headers, fields);
  noteDenial(response, fields, request);
  return response;
}
