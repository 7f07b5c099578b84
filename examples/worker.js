// A worker, as Cloudflare and others run it: each isolate counts for itself. Run: npx wrangler dev examples/worker.js

import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/fetch";

const limits = {
  provider: createLocalProvider(),
  rate: perMinute(60),
  // Cloudflare sets this header itself, so a client can't forge it.
  peerAddress: (/** @type {Request} */ request) => request.headers.get("cf-connecting-ip") ?? undefined,
};

export default { fetch: rateLimit(limits, () => new Response("hello\n")) };
