// `trypema/fetch`: a handler from Request to Response around another, for Next, Remix, Workers, Bun and Deno.

import type { Awaitable } from "../core/types.ts";
import { isPromise } from "../http/awaitable.ts";
import { type Answer, type Fields, Guard, type RateLimitOptions, type Verdict } from "../http/index.ts";
import { AdapterRequest } from "../http/request.ts";

export * from "../http/index.ts";

/** A handler from `Request` to `Response`; what a runtime passes besides comes after the request. */
export type FetchHandler<Input extends Request, Context extends unknown[]> = (
  request: Input,
  ...context: Context
) => Awaitable<Response>;

/** What only the runtime knows. */
export interface FetchOptions<Input extends Request, Context extends unknown[]> {
  /**
   * The peer's address, from what the runtime gives its handlers. Without it a limiter needs a key of its own.
   *
   * Cloudflare Workers: `(request) => request.headers.get("cf-connecting-ip") ?? undefined`; Bun:
   * `(request, server) => server.requestIP(request)?.address`; Deno: `(request, info) => info.remoteAddr.hostname`.
   */
  readonly peerAddress?: (request: Input, ...context: Context) => string | undefined;
}

/**
 * The handler with limits. It throws what the handler throws, and what callbacks of the limits throw.
 *
 * `export default { fetch: rateLimit({ provider, rate: perMinute(60), peerAddress }, handler) }`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
export function rateLimit<Input extends Request, Context extends unknown[]>(
  options: RateLimitOptions<Input> & FetchOptions<Input, Context>,
  handler: FetchHandler<Input, Context>,
): (request: Input, ...context: Context) => Promise<Response> {
  const { peerAddress, ...limits } = options;
  const guard = new Guard(limits as RateLimitOptions<Input>);
  if (peerAddress === undefined) {
    guard.requireKeysOfTheirOwn("give peerAddress, or a key, or, behind a proxy, key: clientAddress({ proxies: 1 })");
  }
  return async (request, ...context) => {
    const limited = new FetchRequest(request, peerAddress?.(request, ...context));
    try {
      const checked = guard.check(limited);
      const verdict: Verdict = isPromise(checked) ? await checked : checked;
      if (verdict.answer !== undefined) return responseOf(verdict.answer, request.method);
      const response = withFields(await handler(request, ...context), verdict.fields);
      verdict.settle?.(response.status);
      return response;
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

function responseOf({ status, fields, body }: Answer, method: string): Response {
  const response = new Response(method === "HEAD" ? null : body, { status });
  return withFields(response, fields);
}

/** The response itself, or a copy where its headers can't be changed, as those of a `fetch` can't. */
function withFields(response: Response, fields: Fields): Response {
  if (fields.length === 0) return response;
  try {
    setFields(response.headers, fields);
    return response;
  } catch {
    const { status, statusText, headers, body } = response;
    const copy = new Response(body, { status, statusText, headers });
    setFields(copy.headers, fields);
    return copy;
  }
}

function setFields(headers: Headers, fields: Fields): void {
  for (let i = 0; i < fields.length; i += 2) headers.set(fields[i]!, fields[i + 1]!);
}
