// middleware/rate-limit.ts
import { defineMiddleware, type H3Event, toResponse } from "h3";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/fetch";

const limited = rateLimit(
  {
    provider: createLocalProvider(),
    rate: perMinute(60),
    peerAddress: (_request: Request, event: H3Event) => event.req.ip,
  },
  async (_request, event: H3Event, next: () => unknown) => toResponse(await next(), event),
);

export default defineMiddleware((event, next) => limited(event.req, event, next));
