// app/answer/route.ts
import { createLocalProvider, minutes } from "trypema";
import { rateLimit, requestHeader } from "trypema/fetch";

const key = requestHeader("x-api-key", { hash: true }); // check elsewhere that there is such a key

export const POST = rateLimit(
  { provider: createLocalProvider(), name: "answers", limit: 3, windowMs: minutes(1), key },
  async (request) => Response.json({ answer: await request.text() }),
);
