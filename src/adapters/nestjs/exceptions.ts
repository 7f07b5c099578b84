// What is thrown in place of an answer: Nest's exceptions, so that the filters of the application meet what they know.

import { type ExecutionContext, HttpException } from "@nestjs/common";
import { defaultAnswer } from "../../http/denial.ts";
import type { Denial, DenialReason } from "../../http/index.ts";

/** The body of a denial: a problem of RFC 9457. */
export interface RateLimitProblem {
  /** What kind of problem it is: a URI. */
  readonly type: string;
  /** A title for people. */
  readonly title: string;
  /** The HTTP status. */
  readonly status: number;
  /** What happened, and when to try again. */
  readonly detail: string;
  /** The names of all limiters that deny the call. */
  readonly "violated-policies"?: readonly string[];
}

const codes: Record<DenialReason, string> = {
  "quota-exceeded": "TOO_MANY_REQUESTS",
  blocked: "TOO_MANY_REQUESTS",
  "backend-unavailable": "SERVICE_UNAVAILABLE",
  "missing-key": "BAD_REQUEST",
};

/**
 * A denied request of HTTP, or a denied field of GraphQL: catch it with `@Catch(RateLimitException)` to answer
 * differently. The header fields are already set. Its response is the problem that clients get.
 */
export class RateLimitException extends HttpException {
  /** Why the call is denied, and for how long. */
  readonly denial: Denial;
  /** What a GraphQL client gets beside the message. */
  readonly extensions: RateLimitExtensions;

  /** For a guard of your own. */
  constructor(denial: Denial, problem: RateLimitProblem) {
    super(problem, problem.status);
    this.name = "RateLimitException";
    this.message = problem.detail;
    this.denial = denial;
    this.extensions = extensionsOf(denial);
  }
}

/** What clients of GraphQL and of sockets get, for programs. */
export interface RateLimitExtensions {
  /** `"TOO_MANY_REQUESTS"`, `"SERVICE_UNAVAILABLE"` if the backend failed, or `"BAD_REQUEST"` without a key. */
  readonly code: string;
  /** Why the call is denied. */
  readonly reason: DenialReason;
  /** The name of the limiter with the longest wait. */
  readonly limiter: string;
  /** How many seconds to wait, rounded up; absent when this isn't known. */
  readonly retryAfterSeconds?: number;
}

function extensionsOf({ reason, limiter, retryAfterSeconds }: Denial): RateLimitExtensions {
  const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
  return { code: codes[reason], reason, limiter, ...wait };
}

/** What to throw. On sockets and in microservices it is an exception of the package of those, which is loaded then. */
export async function exceptionOf(context: ExecutionContext, denial: Denial): Promise<Error> {
  // Whatever the client prefers, the problem becomes a part of an exception.
  const problem: RateLimitProblem = JSON.parse(defaultAnswer(denial, undefined).body);
  const type = context.getType();
  if (type === "http" || (type as string) === "graphql") return new RateLimitException(denial, problem);
  const told = { status: "error", message: problem.detail, ...extensionsOf(denial) };
  try {
    if (type === "ws") return new (await import("@nestjs/websockets")).WsException(told);
    if (type === "rpc") return new (await import("@nestjs/microservices")).RpcException(told);
  } catch {
    // Whoever made this context doesn't use the package of Nest.
  }
  return new RateLimitException(denial, problem);
}
