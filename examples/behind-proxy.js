// Clients behind a reverse proxy on this machine, which writes X-Forwarded-For. Run: node examples/behind-proxy.js
// Try: curl -H "x-forwarded-for: 203.0.113.7" localhost:3000

import { createLocalProvider, perMinute } from "trypema";
import { clientAddress, rateLimit } from "trypema/node";
import { listen } from "./listen.js";

const key = clientAddress({ proxies: ["127.0.0.0/8", "::1"] });
const limits = { provider: createLocalProvider(), rate: perMinute(60), key };
listen(rateLimit(limits, (_, response) => response.end("hello\n")));
