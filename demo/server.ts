// The server of the demo: two routes, each limited by one strategy.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Awaitable, Decision } from "trypema";

export const STRATEGIES = ["absolute", "suppressed"] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** Decides about one request of a client, which is known by its address. */
export type Decide = (strategy: Strategy, client: string) => Awaitable<Decision>;

export interface DemoServer {
  readonly url: string;
  /** Stops listening and closes all connections, idle or not. */
  close(): Promise<void>;
}

/** A header field of answers that took asking Redis: of those for which the provider had no decision at hand. */
export const ASKED_REDIS = "x-asked-redis";

const EXPLANATION = `trypema's demo: /absolute and /suppressed are limited, each by the strategy of its name.
`;

/** Listens on loopback; port 0 is any free one. Rejects when it cannot listen. */
export async function startServer(decide: Decide, port = 0): Promise<DemoServer> {
  // By default the server closes a connection that is idle for five seconds. A request that a busy client sends at that
  // moment would fail.
  const options = { keepAliveTimeout: 0 };
  const server = createServer(options, (request, response) => void answer(request, response, decide));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, decide: Decide): Promise<void> {
  const path = request.url?.split("?")[0];
  if (path === "/") return sendText(response, 200, EXPLANATION);
  const strategy = STRATEGIES.find((name) => path === `/${name}`);
  if (strategy === undefined) return sendText(response, 404, "not found: there are /absolute and /suppressed\n");
  try {
    const deciding = decide(strategy, request.socket.remoteAddress ?? "unknown");
    if (deciding instanceof Promise) response.setHeader(ASKED_REDIS, "yes");
    const decision = await deciding;
    if (decision.allowed) return sendText(response, 200, "hello\n");
    sendDenial(response, decision);
  } catch (error) {
    sendText(response, 500, `the limiter failed: ${error instanceof Error ? error.message : error}\n`);
  }
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text);
}

function sendDenial(response: ServerResponse, decision: Decision): void {
  const { outcome, limit, remaining, retryAfterMs, suppressionFactor } = decision;
  // A request that can never fit has nothing to wait for.
  if (Number.isFinite(retryAfterMs)) response.setHeader("retry-after", Math.ceil(retryAfterMs / 1_000));
  response.writeHead(429, { "content-type": "application/json" });
  response.end(`${JSON.stringify({ outcome, limit, remaining, retryAfterMs, suppressionFactor })}\n`);
}
