// So many requests a minute for each client address. Run: node examples/per-ip.js

import express from "express";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/express";
import { listen } from "./listen.js";

const app = express();
app.use(rateLimit({ provider: createLocalProvider(), rate: perMinute(60) }));
app.get("/", (_, response) => response.send("hello\n"));
listen(app);
