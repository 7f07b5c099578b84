// A stand-in for Upstash: its HTTP protocol before a Redis server, as far as `@upstash/redis` uses it for scripts.

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Redis } from "ioredis";

type Outcome = { result: unknown } | { error: string };

export type UpstashStandIn = Awaited<ReturnType<typeof startUpstash>>;

/** Begins to answer for the Redis server on that port. */
export async function startUpstash(redisPort: number) {
  const redis = new Redis(redisPort);
  let hangs = false;

  async function run([name, ...args]: (string | number)[], isBase64: boolean): Promise<Outcome> {
    try {
      const result = await redis.call(String(name), ...args);
      return { result: isBase64 ? inBase64(result) : result };
    } catch (error) {
      return { error: (error as Error).message };
    }
  }

  async function answer(request: IncomingMessage): Promise<{ status: number; body: unknown }> {
    if (request.headers.authorization !== "Bearer secret") return { status: 401, body: { error: "Unauthorized" } };
    const isBase64 = request.headers["upstash-encoding"] === "base64";
    const body = JSON.parse(await text(request));
    // Each command of a pipeline has an outcome of its own, and the answer has a status that says that all is well.
    if (request.url === "/pipeline") {
      return { status: 200, body: await Promise.all(body.map((command: string[]) => run(command, isBase64))) };
    }
    const outcome = await run(body, isBase64);
    return { status: "error" in outcome ? 400 : 200, body: outcome };
  }

  const server = createServer(async (request, response) => {
    const { status, body } = await answer(request);
    if (hangs) return;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: "secret",
    /** Answers no request from now on, or answers again. */
    hang(isHanging: boolean) {
      hangs = isHanging;
    },
    close() {
      server.close();
      server.closeAllConnections();
      redis.disconnect();
    },
  };
}

/** Texts are encoded, at any depth, except for the status that most commands reply. */
function inBase64(result: unknown): unknown {
  if (Array.isArray(result)) return result.map(inBase64);
  return typeof result === "string" && result !== "OK" ? Buffer.from(result).toString("base64") : result;
}
