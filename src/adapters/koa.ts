// `trypema/koa`: a middleware for Koa.

import type { Context, Middleware } from "koa";
import { isPromise } from "../http/awaitable.ts";
import { Guard, type RateLimitOptions, type Verdict } from "../http/index.ts";
import { NodeRequest, setFields, settleAtEnd } from "./node-message.ts";

export * from "../http/index.ts";

/**
 * A middleware that limits what comes after it.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60) }))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
export function rateLimit(options: RateLimitOptions<Context>): Middleware {
  const guard = new Guard(options);
  return (context, next) => {
    const verdict = guard.check(new KoaRequest(context, context.req, context.res));
    if (isPromise(verdict)) return verdict.then((given) => carryOut(given, context, next));
    return carryOut(verdict, context, next);
  };
}

class KoaRequest extends NodeRequest<Context> {
  override get proxySetting(): string | undefined {
    return this.raw.app?.proxy ? "app.proxy" : undefined;
  }
}

function carryOut({ answer, fields, settle }: Verdict, context: Context, next: () => Promise<unknown>): unknown {
  setFields(context.res, answer?.fields ?? fields);
  if (answer === undefined) {
    settleAtEnd(context.res, settle);
    return next();
  }
  context.status = answer.status;
  context.body = answer.body;
  return undefined;
}
