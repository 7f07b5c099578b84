// Express: so many requests a minute for each client address.
// Try: curl localhost:3000

import type { AddressInfo } from "node:net";
import express from "express";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/express";

const app = express();
app.use(rateLimit({ provider: createLocalProvider(), rate: perMinute(60) }));
app.get("/", (_, response) => {
  response.send("hello\n");
});

const server = app.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
