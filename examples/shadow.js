// A future limit: it decides and counts, but denies nobody, until its metrics show that it may.
// Run: node examples/shadow.js
// Try: curl localhost:3000, and then curl localhost:3000/metrics

import Koa from "koa";
import { createLocalProvider, perMinute } from "trypema";
import { prometheusMetrics, rateLimit } from "trypema/koa";
import { listen } from "./listen.js";

const metrics = prometheusMetrics();
const app = new Koa();
app.use(
  rateLimit({
    provider: createLocalProvider(),
    name: "to-be",
    rate: perMinute(2),
    shadow: true,
    metrics,
    skip: ({ path }) => path === "/metrics",
    onDecision: ({ outcome, key }) => {
      if (outcome === "rejected") console.log(`${key} would be denied`);
    },
  }),
);
app.use((context) => {
  context.body = context.path === "/metrics" ? metrics.text() : "hello\n";
});
listen(app.callback());
