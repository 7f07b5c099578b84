// `trypema/express`: a middleware for Express 4 and 5.

import type { Request, RequestHandler, Response } from "express";
import { isPromise } from "../http/awaitable.ts";
import { Guard, type RateLimitOptions, type Verdict } from "../http/index.ts";
import { NodeRequest, sendAnswer, setFields, settleAtEnd } from "./node-message.ts";

export * from "../http/index.ts";

/**
 * A middleware that limits what comes after it.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60) }))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
export function rateLimit(options: RateLimitOptions<Request>): RequestHandler {
  const guard = new Guard(options);
  return (request, response, next) => {
    const verdict = guard.check(new ExpressRequest(request, request, response));
    if (isPromise(verdict)) verdict.then((given) => carryOut(given, response, next)).catch(next);
    else carryOut(verdict, response, next);
  };
}

class ExpressRequest extends NodeRequest<Request> {
  override get proxySetting(): string | undefined {
    return this.raw.app?.get("trust proxy") ? "trust proxy" : undefined;
  }
}

function carryOut({ answer, fields, settle }: Verdict, response: Response, next: () => void): void {
  if (answer !== undefined) {
    sendAnswer(response, answer);
    return;
  }
  setFields(response, fields);
  settleAtEnd(response, settle);
  next();
}
