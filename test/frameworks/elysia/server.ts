// server.ts
import { Elysia } from "elysia";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit } from "trypema/fetch";

const app = new Elysia().get("/hello", () => ({ hello: "world" }));

const options = {
  provider: createLocalProvider(),
  rate: perMinute(60),
  peerAddress: (request: Request) => app.server?.requestIP(request)?.address,
};

app.wrap((handler) => rateLimit(options, async (request) => (await handler(request)) as unknown as Response));
app.listen(Number(process.env.PORT ?? 3000));
