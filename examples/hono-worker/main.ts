// Hono on workerd, the runtime of Cloudflare Workers: each isolate counts for itself.
// Try: npx wrangler dev, and then curl localhost:8787

import { Hono } from "hono";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/hono";

const app = new Hono();
app.use(
  rateLimit({
    // At global scope, so that all requests of the isolate count together. A worker has 128 MB.
    provider: createLocalProvider({ maxKeys: 100_000 }),
    rate: perMinute(60),
    // Cloudflare sets this header itself, so a client can't forge it.
    peerAddress: (context) => context.req.header("cf-connecting-ip"),
  }),
);
app.get("/", (context) => context.text("hello\n"));

export default app;
