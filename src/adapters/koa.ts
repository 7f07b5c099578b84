// `trypema/koa`: a middleware for Koa.

import type { Context, Middleware } from "koa";
import { isPromise } from "../http/awaitable.ts";
import { type Denial, Guard, pathOf, type RateLimitOptions, type Verdict } from "../http/index.ts";
import { NodeRequest, setFields, setMissingFields, settleAtEnd } from "./node-message.ts";

export * from "../http/index.ts";

/** Answers a denied request with Koa's own methods: it sets the body of the context. */
export type DenialHandler = (context: Context, denial: Denial) => unknown;

/**
 * Makes a middleware that limits the routes after it.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60) }))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
export function rateLimit(options: RateLimitOptions<Context, DenialHandler>): Middleware {
  const guard = new Guard(options);
  const { handler } = options;
  return (context, next) => {
    const verdict = guard.check(new KoaRequest(context, context.req, context.res));
    if (isPromise(verdict)) return verdict.then((given) => carryOut(given, context, next, handler));
    return carryOut(verdict, context, next, handler);
  };
}

class KoaRequest extends NodeRequest<Context> {
  override get path(): string {
    // koa-mount takes the path that an application is mounted at away from `url`.
    const { req, originalUrl } = this.raw;
    return pathOf((req as { originalUrl?: string }).originalUrl ?? originalUrl);
  }

  override get proxySetting(): string | undefined {
    return this.raw.app?.proxy ? "app.proxy" : undefined;
  }
}

function carryOut(
  verdict: Verdict,
  context: Context,
  next: () => Promise<unknown>,
  handler: DenialHandler | undefined,
): unknown {
  const { answer, denial, settle } = verdict;
  setFields(context.res, answer?.fields ?? verdict.fields);
  if (answer === undefined) {
    keepFieldsOnError(context, verdict);
    settleAtEnd(context.res, settle);
    return next();
  }
  context.status = answer.status;
  if (handler !== undefined) return handler(context, denial!);
  context.body = answer.body;
  return undefined;
}

/**
 * Koa takes all fields away before it answers an error. Then they are set again when the head is written, except for
 * those that the error has itself.
 */
function keepFieldsOnError(context: Context, verdict: Verdict): void {
  const { onerror } = context;
  context.onerror = (error) => {
    // Koa calls it without an error too, whenever a response ends.
    if (error != null && !context.res.headersSent) addFieldsAtHead(context.res, verdict);
    onerror.call(context, error);
  };
}

function addFieldsAtHead(response: Context["res"], verdict: Verdict): void {
  const { writeHead } = response;
  response.writeHead = (...given: unknown[]) => {
    response.writeHead = writeHead;
    setMissingFields(response, verdict.fields);
    return Reflect.apply(writeHead, response, given);
  };
}
