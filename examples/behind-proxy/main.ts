// node:http: clients behind a reverse proxy on this machine, which writes X-Forwarded-For.
// Try: curl -H "x-forwarded-for: 203.0.113.7" localhost:3000

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createLocalProvider, perMinute } from "trypema";
import { clientAddress, rateLimit } from "trypema/node";

const key = clientAddress({ proxies: ["127.0.0.0/8", "::1"] });
const limits = { provider: createLocalProvider(), rate: perMinute(60), key };

const server = createServer(rateLimit(limits, (_, response) => response.end("hello\n")));
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
