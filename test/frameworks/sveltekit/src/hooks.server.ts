// src/hooks.server.ts
import type { RequestEvent } from "@sveltejs/kit";
import type { Handle } from "@sveltejs/kit/hooks";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/fetch";

const limited = rateLimit(
  {
    provider: createLocalProvider(),
    rate: perMinute(60),
    peerAddress: (_request: Request, event: RequestEvent) => event.getClientAddress(),
  },
  (_request, event: RequestEvent, resolve: Parameters<Handle>[0]["resolve"]) => resolve(event),
);

// A page that fetches from its own server asks again, inside the same request: that isn't counted.
export const handle: Handle = ({ event, resolve }) =>
  event.isSubRequest ? resolve(event) : limited(event.request, event, resolve);
