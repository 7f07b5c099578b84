// The suite in an edge isolate, with what is special there: code at global scope may start nothing, neither a
// timer nor chance; what was made there serves all requests; and the clock stands still between I/O.

import { Redis as Upstash } from "@upstash/redis/cloudflare";
import { createLocalProvider, perSecond } from "trypema";
import { rateLimit } from "trypema/fetch";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider, type RedisProvider } from "trypema/redis";
import { runSuite, type Summary } from "./suite.ts";

// As where it is served from: workerd itself, on a machine of one's own, lets the clock go on.
const realNow = performance.now.bind(performance);
let lastIoMs = 0;
performance.now = () => lastIoMs;
const realSetTimeout = globalThis.setTimeout;
const realClearTimeout = globalThis.clearTimeout;
/** Timers that have neither fired nor been cleared. One that ends with its request stays here. */
const pendingTimers = new Set<unknown>();
globalThis.setTimeout = ((run: () => void, ms: number) => {
  const timer = realSetTimeout(
    afterIo(() => {
      pendingTimers.delete(timer);
      run();
    }),
    ms,
  );
  pendingTimers.add(timer);
  return timer;
}) as typeof setTimeout;
globalThis.clearTimeout = ((timer: number) => {
  pendingTimers.delete(timer);
  realClearTimeout(timer);
}) as typeof clearTimeout;

function afterIo(run: () => void): () => void {
  return () => {
    lastIoMs = realNow();
    run();
  };
}

const WINDOW_MS = 300;
const RATE = perSecond(10);

// Made, and used, before there is a request.
const limiter = createLocalProvider({ windowMs: WINDOW_MS, cleanup: { intervalMs: 50 } });
const atGlobalScope = [limiter.absolute.inc("global", RATE, 3), limiter.absolute.inc("global", RATE)];
// Requests that come one after the other take a while on a busy machine.
const patient = createLocalProvider({ windowMs: 600_000 });
const hang = () => new Promise<never>(() => {});
const redis = createRedisProvider({ sendCommand: hang }, { timeoutMs: 20 });
const hybrid = createHybridProvider({ sendCommand: hang }, { timeoutMs: 20 });

/** The worker itself, as a service that it calls. */
interface Env {
  readonly self: { fetch(url: string, init: RequestInit): Promise<Response> };
  readonly upstashUrl: string;
  readonly upstashToken: string;
}

// A websocket of another service that a limited handler passes on: its response can't be changed, and not be copied.
const passOn = rateLimit({ provider: limiter, rate: RATE, key: () => "passed on" }, (_: Request, env: Env) =>
  env.self.fetch("http://self/socket", { headers: { upgrade: "websocket" } }),
);

let onUpstash: RedisProvider | undefined;

/** A call of a provider that the first request has made, and that serves all of them. */
async function callOnUpstash(key: string, { upstashUrl, upstashToken }: Env): Promise<object> {
  onUpstash ??= createRedisProvider(new Upstash({ url: upstashUrl, token: upstashToken, retry: false }), {
    windowMs: 600_000,
    timeoutMs: 5_000,
    onFailure: "deny",
  });
  return onUpstash.absolute.inc(key, perSecond(0.005)).catch((error) => ({ error: String(error) }));
}

function acceptSocket(): Response {
  const { WebSocketPair } = globalThis as unknown as { WebSocketPair: new () => [unknown, { accept(): void }] };
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  return new Response(null, { status: 101, webSocket: client } as ResponseInit);
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** What went wrong; each is a promise that wasn't kept. */
async function* problems(): AsyncGenerator<string> {
  if (!atGlobalScope[0]!.allowed || atGlobalScope[1]!.allowed) yield "at global scope it doesn't limit";

  const decisions = Array.from({ length: 20_000 }, () => limiter.absolute.inc("frozen", RATE).allowed);
  if (decisions.filter(Boolean).length !== 3) yield "it doesn't admit the capacity while the clock stands still";
  // Each may bring a slice of a sweep, which has to end without a clock that tells how long it took.
  for (let i = 0; i < 20_000; i++) limiter.suppressed.inc(`new ${i}`, RATE);

  let tries = 0;
  while (!limiter.absolute.inc("frozen", RATE).allowed && ++tries < 500) await sleep(5);
  if (tries === 500) yield "it never admits again, though the clock goes on with I/O";

  const code = await redis.absolute.get("key").then(
    () => "answered",
    (error) => error.code,
  );
  if (code !== "BACKEND_TIMEOUT") yield `a provider of global scope doesn't keep its deadline: ${code}`;
  const decision = await hybrid.absolute.inc("key", RATE);
  if (!decision.allowed || !decision.degraded) yield "a hybrid provider of global scope doesn't decide without Redis";
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    lastIoMs = realNow();
    const { pathname } = new URL(request.url);
    if (pathname === "/socket") return acceptSocket();
    if (pathname === "/upgraded") {
      const status = await passOn(request, env).then(
        (response) => response.status,
        (error) => String(error),
      );
      return Response.json(status);
    }
    if (pathname === "/hit") return Response.json(patient.absolute.inc("requests", perSecond(0.005)));
    if (pathname === "/deadline") return Response.json(await redis.absolute.get("key").catch(({ code }) => code));
    if (pathname.startsWith("/upstash/")) return Response.json(await callOnUpstash(pathname.slice(9), env));
    if (pathname === "/timers") return Response.json(pendingTimers.size);
    const failed: string[] = [];
    for await (const problem of problems()) failed.push(`an edge isolate: ${problem}`);
    const suite = await runSuite();
    const summary: Summary = { passed: suite.passed, failed: [...failed, ...suite.failed] };
    return Response.json(summary);
  },
};
