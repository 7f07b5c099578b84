import { type CanActivate, type ExecutionContext, Inject, Injectable } from "@nestjs/common";
import { settleAtEnd } from "../node-message.ts";
import { exceptionOf } from "./exceptions.ts";
import { RateLimits } from "./rate-limits.ts";
import { handlerRequestOf, setResponseFields } from "./request.ts";

/**
 * Asks the limiters of a handler before it is called. Use it for all handlers by `{ provide: APP_GUARD, useExisting:
 * RateLimitGuard }`, or for some by `@UseGuards(RateLimitGuard)`. If a handler has it more than once, the call counts
 * once.
 *
 * It throws a `RateLimitException` of status 429 for HTTP and GraphQL, a `WsException` on gateways, and an
 * `RpcException` in microservices.
 */
export class RateLimitGuard implements CanActivate {
  readonly #limits: RateLimits;

  /** @internal Nest makes it. */
  constructor(limits: RateLimits) {
    this.#limits = limits;
  }

  /** For Nest: true, or it throws. */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = handlerRequestOf(context);
    const verdict = await this.#limits.check(request);
    if (verdict === undefined) return true;
    const { answer, denial, settle } = verdict;
    const { response } = request;
    if (response !== undefined) setResponseFields(response, answer?.fields ?? verdict.fields);
    if (denial !== undefined) throw await exceptionOf(context, denial);
    if (response === undefined) return true;
    // The status of GraphQL's response says nothing about one of its fields.
    if (context.getType() === "http") settleAtEnd(response.raw ?? response, settle);
    return true;
  }
}

Injectable()(RateLimitGuard);
Inject(RateLimits)(RateLimitGuard, undefined, 0);
