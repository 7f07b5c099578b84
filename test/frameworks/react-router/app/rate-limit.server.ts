// app/rate-limit.server.ts
import type { MiddlewareFunction } from "react-router";
import { createLocalProvider, perMinute } from "trypema";
import { clientAddress, rateLimit } from "trypema/fetch";

const limited = rateLimit(
  { provider: createLocalProvider(), rate: perMinute(60), key: clientAddress({ proxies: 1 }) },
  (_request: Request, next: () => Promise<Response>) => next(),
);

export const limitRequests: MiddlewareFunction<Response> = ({ request }, next) => limited(request, next);
