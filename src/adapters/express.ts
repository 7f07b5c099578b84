// `trypema/express`: a middleware for Express 4 and 5.

import type { NextFunction, Request, RequestHandler, Response } from "express";
import { isPromise } from "../http/awaitable.ts";
import { type Denial, Guard, type RateLimitOptions, type Verdict } from "../http/index.ts";
import { NodeRequest, sendAnswer, setFields, setHead, settleAtEnd } from "./node-message.ts";

export * from "../http/index.ts";

/** Answers a denied request with Express's own methods; `next(error)` passes it on to the error handlers. */
export type DenialHandler = (request: Request, response: Response, next: NextFunction, denial: Denial) => unknown;

/**
 * Makes a middleware that limits the routes after it.
 *
 * `app.use(rateLimit({ provider, rate: perMinute(60) }))`
 *
 * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
 */
export function rateLimit(options: RateLimitOptions<Request, DenialHandler>): RequestHandler {
  const guard = new Guard(options);
  const { handler } = options;
  const carryOut = (verdict: Verdict, request: Request, response: Response, next: NextFunction): unknown => {
    const { answer, denial, fields, settle } = verdict;
    if (answer !== undefined) {
      if (handler === undefined) return sendAnswer(response, answer);
      return setHead(response, answer) ? handler(request, response, next, denial!) : undefined;
    }
    setFields(response, fields);
    settleAtEnd(response, settle);
    return next();
  };
  return (request, response, next) => {
    const verdict = guard.check(new ExpressRequest(request, request, response));
    if (isPromise(verdict)) verdict.then((given) => carryOut(given, request, response, next)).catch(next);
    else carryOut(verdict, request, response, next);
  };
}

class ExpressRequest extends NodeRequest<Request> {
  override get proxySetting(): string | undefined {
    return this.raw.app?.get("trust proxy") ? "trust proxy" : undefined;
  }
}
