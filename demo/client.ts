// The client of the demo: real requests over kept-alive sockets.

import { type Agent, get, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import type { Reply } from "./load.ts";
import { ASKED_REDIS } from "./server.ts";

const PATIENCE_MS = 5_000;

/** Requests `url` once. Rejects unless the answer is an admission or a denial. */
export async function ask(url: string, agent: Agent): Promise<Reply> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = get(url, { agent, timeout: PATIENCE_MS }, resolve);
    request.on("error", reject);
    request.on("timeout", () => request.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)));
  });
  const body = await text(response);
  const askedRedis = ASKED_REDIS in response.headers;
  if (response.statusCode === 200) return { admitted: true, factor: 0, askedRedis };
  if (response.statusCode === 429) return { admitted: false, factor: JSON.parse(body).suppressionFactor, askedRedis };
  throw new Error(`unexpected answer ${response.statusCode}: ${body.trim()}`);
}
