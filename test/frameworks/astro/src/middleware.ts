// src/middleware.ts
import type { APIContext, MiddlewareHandler, MiddlewareNext } from "astro";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/fetch";

const limited = rateLimit(
  {
    provider: createLocalProvider(),
    rate: perMinute(60),
    peerAddress: (_request: Request, context: APIContext) => context.clientAddress,
  },
  (_request, _context: APIContext, next: MiddlewareNext) => next(),
);

// While pages are prerendered, at build time, there is no client.
export const onRequest: MiddlewareHandler = (context, next) =>
  context.isPrerendered ? next() : limited(context.request, context, next);
