// Koa, a future limit: it decides and counts, but denies nobody, until its metrics show that it may.
// Try: curl localhost:3000, and then curl localhost:3000/metrics

import type { AddressInfo } from "node:net";
import Koa from "koa";
import { createLocalProvider, perMinute } from "trypema";
import { prometheusMetrics, rateLimit } from "trypema/koa";

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

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
