// server.ts
import { H3, serve } from "h3";
import rateLimit from "./middleware/rate-limit.ts";

const app = new H3().use(rateLimit).get("/hello", () => ({ hello: "world" }));

serve(app, { port: Number(process.env.PORT ?? 3000) });
