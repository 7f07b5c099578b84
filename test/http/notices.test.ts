// Misuse that would pass in silence: what a limiter makes of it, and that it says so once.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import { Redis } from "ioredis";
import Koa from "koa";
import { createLocalProvider, type Provider, perSecond } from "trypema";
import { rateLimit as expressLimit } from "trypema/express";
import { rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as fetchLimit } from "trypema/fetch";
import { rateLimit as honoLimit } from "trypema/hono";
import {
  Guard,
  type HttpRequest,
  type HttpResponse,
  type Notice,
  type RateLimitOptions,
  reservationOf,
} from "trypema/http";
import { createHybridProvider } from "trypema/hybrid";
import { rateLimit as koaLimit } from "trypema/koa";
import { rateLimit as nodeLimit } from "trypema/node";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { limiterOf } from "./limiter-of.ts";
import { limitLines, send } from "./raw-client.ts";

const FIVE = perSecond(0.5);
/** Its time stands still, so that what is told of a window is the same on a slow machine. */
const provider = () => createLocalProvider({ windowMs: 10_000, clock: manualClock() });
const key = () => "k";

function requestOn(raw: object, isAnswered?: boolean): HttpRequest<object> {
  const request = { raw, method: "GET", path: "/", peerAddress: "203.0.113.7", header: () => undefined };
  return isAnswered === undefined ? request : { ...request, isAnswered };
}

function noting() {
  const notices: Notice[] = [];
  return { notices, onNotice: (notice: Notice) => notices.push(notice) };
}

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

async function listen(handler: Parameters<typeof createServer>[1]): Promise<number> {
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  stops.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** Sends a request to an application where one limiter is mounted for everything, for a router and on the route. */
type Mount = (limits: RateLimitOptions) => Promise<() => Promise<string[]>>;

const linesFrom = (port: number) => async () => limitLines(await send(port, { path: "/a/b" }));
const linesOf = ({ headers }: Response) =>
  [...headers].filter(([name]) => name.startsWith("ratelimit")).map(([name, value]) => `${name}: ${value}`);

const mounts: Record<string, Mount> = {
  async Express(limits) {
    const app = express();
    const limit = expressLimit(limits);
    app.use(limit);
    app.use("/a", limit);
    app.get("/a/b", limit, (_, response) => void response.end("hello"));
    return linesFrom(await listen(app));
  },
  async Koa(limits) {
    const app = new Koa();
    const limit = koaLimit(limits);
    app.use(limit).use(limit).use(limit);
    app.use((context) => {
      context.body = "hello";
    });
    return linesFrom(await listen(app.callback()));
  },
  async Hono(limits) {
    const app = new Hono();
    const limit = honoLimit(limits);
    app.use(limit);
    app.use("/a/*", limit);
    app.get("/a/b", limit, (context) => context.text("hello"));
    return async () => linesOf(await app.request("/a/b"));
  },
};

describe.each(Object.keys(mounts))("a limiter that is mounted three times in %s", (framework) => {
  it("counts a request once, and says so once", async () => {
    const { notices, onNotice } = noting();
    const ask = await mounts[framework]!({ provider: provider(), rate: FIVE, key, onNotice });
    for (const left of [4, 3, 2]) expect(await ask()).toContain(`ratelimit: "default";r=${left};t=10`);
    expect(notices).toEqual([
      { code: "MET_TWICE", limiter: "default", message: expect.stringMatching(/mount it only once/) },
    ]);
  });

  it("counts a request each time when it was made three times, with names of their own", async () => {
    const { notices, onNotice } = noting();
    const shared = provider();
    const limiters = ["a", "b", "c"].map((name) => ({ name, rate: FIVE, key }));
    const ask = await mounts[framework]!({ provider: shared, limiters, onNotice });
    await ask();
    expect(["a", "b", "c"].map((name) => limiterOf(shared, name).get("k").total)).toEqual([1, 1, 1]);
    expect(notices.map(({ code }) => code)).toEqual(["MET_TWICE"]);
  });
});

describe("limiters that were made separately", () => {
  it("count each, though they have one name", async () => {
    const shared = provider();
    const app = express();
    const { notices, onNotice } = noting();
    for (let i = 0; i < 2; i++) app.use(expressLimit({ provider: shared, rate: FIVE, key, onNotice }));
    app.use((_, response) => void response.end("hello"));
    await send(await listen(app));
    expect(limiterOf(shared).get("k").total).toBe(2);
    expect(notices).toEqual([]);
  });
});

describe("a request", () => {
  it("is another one when the same Request comes again to a fetch handler", async () => {
    const { notices, onNotice } = noting();
    const handler = fetchLimit({ provider: provider(), rate: FIVE, key, onNotice }, () => new Response("hello"));
    const request = new Request("http://localhost/");
    const statuses = [];
    for (let i = 0; i < 8; i++) statuses.push((await handler(request)).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    expect(notices).toEqual([]);
  });

  it("is another one when its handler threw and it comes again", async () => {
    const shared = provider();
    const handler = fetchLimit({ provider: shared, rate: FIVE, key }, () => Promise.reject(new Error("boom")));
    const request = new Request("http://localhost/");
    for (let i = 0; i < 3; i++) await expect(handler(request)).rejects.toThrow("boom");
    expect(limiterOf(shared).get("k").total).toBe(3);
  });

  it("is another one with each keep-alive message of node:http", async () => {
    const { notices, onNotice } = noting();
    const shared = provider();
    const limits = { provider: shared, rate: FIVE, key, onNotice };
    const port = await listen(nodeLimit(limits, (_, response) => response.end("hello")));
    for (let i = 0; i < 3; i++) await send(port);
    expect(limiterOf(shared).get("k").total).toBe(3);
    expect(notices).toEqual([]);
  });

  it("counts each time that a guard is asked by itself, and a denial gives back nothing of earlier ones", async () => {
    for (const wait of [false, true]) {
      const shared = provider();
      const { notices, onNotice } = noting();
      const guard = new Guard({ provider: shared, rate: FIVE, key: wait ? async () => "k" : key, onNotice });
      const socket = {};
      const verdicts = await Promise.all(Array.from({ length: 24 }, () => guard.check(requestOn(socket))));
      expect(verdicts.filter(({ answer }) => answer === undefined)).toHaveLength(5);
      for (let i = 0; i < 24; i++) expect((await guard.check(requestOn(socket))).answer).toBeDefined();
      expect(limiterOf(shared).get("k").total).toBe(5);
      expect(notices).toEqual([]);
    }
  });

  it("counts each operation of a guard that is asked below an adapter's limiter", async () => {
    const shared = provider();
    const operations = new Guard<Request>({ provider: shared, name: "operations", rate: FIVE, key });
    const seen: boolean[] = [];
    const handler = fetchLimit({ provider: shared, rate: FIVE, key }, async (raw: Request) => {
      for (let i = 0; i < 7; i++) {
        const { answer } = await operations.check({ ...requestOn(raw), raw });
        seen.push(answer === undefined);
      }
      return new Response("hello");
    });
    await handler(new Request("http://localhost/"));
    expect(seen).toEqual([true, true, true, true, true, false, false]);
    expect(limiterOf(shared, "operations").get("k").total).toBe(5);
  });

  it("is one for several guards of an adapter that says when it is answered", async () => {
    const shared = provider();
    const guards = ["a", "b"].map((name) => new Guard<object>({ provider: shared, name, rate: FIVE, key }));
    const raw = {};
    for (const guard of guards) await guard.check(requestOn(raw, false));
    expect(reservationOf(raw).decisions.map(({ limiter }) => limiter)).toEqual(["a", "b"]);
  });

  it("is one also where a runtime makes its list of raw headers anew each time", async () => {
    class Message {
      get rawHeaders(): string[] {
        return [];
      }
    }
    const shared = provider();
    const guards = ["a", "b"].map((name) => new Guard<object>({ provider: shared, name, rate: FIVE, key }));
    const raw = new Message();
    for (const guard of guards) await guard.check(requestOn(raw, false));
    expect(reservationOf(raw).decisions.map(({ limiter }) => limiter)).toEqual(["a", "b"]);
  });

  it("may be frozen", async () => {
    const request = Object.freeze(new Request("http://localhost/"));
    const shared = provider();
    const limit = (name: string, handler: (request: Request) => Promise<Response> | Response) =>
      fetchLimit({ provider: shared, name, rate: FIVE, key }, handler);
    const handler = limit(
      "a",
      limit("b", (raw) => Response.json(reservationOf(raw).decisions.length)),
    );
    expect(await (await handler(request)).json()).toBe(2);
  });
});

describe("limiters of one name and other rates", () => {
  const other = perSecond(1);

  it("give a notice when both are in use, and none when one was made again in the other's place", async () => {
    const shared = provider();
    const first = noting();
    const second = noting();
    const before = new Guard({ provider: shared, rate: FIVE, key, onNotice: first.onNotice });
    before.check(requestOn({}));
    const after = new Guard({ provider: shared, rate: other, key, onNotice: second.onNotice });
    for (let i = 0; i < 3; i++) after.check(requestOn({}));
    expect([first.notices, second.notices]).toEqual([[], []]);
    for (let i = 0; i < 3; i++) before.check(requestOn({}));
    expect(first.notices).toEqual([
      { code: "NAME_SHARED", limiter: "default", message: expect.stringMatching(/give each limiter a different name/) },
    ]);
  });

  it("give no notice by another name, another strategy, the same rate, or another provider", async () => {
    const shared = provider();
    const { notices, onNotice } = noting();
    const guards = [
      new Guard({ provider: shared, rate: FIVE, key, onNotice }),
      new Guard({ provider: shared, rate: FIVE, key, onNotice }),
      new Guard({ provider: shared, rate: other, key, onNotice, name: "other" }),
      new Guard({ provider: shared, rate: other, key, onNotice, strategy: "suppressed" }),
      new Guard({ provider: provider(), rate: other, key, onNotice }),
    ];
    for (const guard of guards) guard.check(requestOn({}));
    expect(notices).toEqual([]);
  });

  it("give a notice also on two providers of one client, prefix and window, and on no others", async () => {
    const client = new Redis({ lazyConnect: true });
    const elsewhere = new Redis({ lazyConnect: true });
    const settings = { windowMs: 10_000 };
    const codes = async (one: Provider, two: Provider) => {
      const { notices, onNotice } = noting();
      const first = new Guard({ provider: { ...one, ...failing(one) }, rate: FIVE, key, onNotice });
      new Guard({ provider: { ...two, ...failing(two) }, rate: other, key, onNotice });
      await first.check(requestOn({}));
      return notices.map(({ code }) => code).filter((code) => code !== "BACKEND_AWAY");
    };
    // The client isn't connected, and need not be: a limiter knows where it counts without asking.
    const failing = ({ absolute, suppressed }: Provider) => {
      vi.spyOn(absolute, "inc").mockImplementation(() => Promise.reject(new Error("not connected")));
      return { absolute, suppressed };
    };
    const redis = (options = {}) => createRedisProvider(client, { ...settings, ...options });
    expect(await codes(redis({ onFailure: "deny" }), redis({ onFailure: "local" }))).toEqual(["NAME_SHARED"]);
    expect(await codes(redis(), createHybridProvider(client, settings))).toEqual(["NAME_SHARED"]);
    expect(await codes(redis(), redis({ prefix: "logins" }))).toEqual([]);
    expect(await codes(redis(), redis({ windowMs: 20_000 }))).toEqual([]);
    expect(await codes(redis(), createRedisProvider(elsewhere, settings))).toEqual([]);
  });

  it("are refused within one guard, whose limiters are told apart by name", () => {
    const limiters = [
      { name: "a", rate: FIVE },
      { name: "a", rate: FIVE, strategy: "suppressed" as const },
    ];
    expect(() => new Guard({ provider: provider(), limiters })).toThrow(/limiters: got "a" for more than one limiter/);
  });

  it("may take turns in Fastify's routes, which is told", async () => {
    const app = Fastify();
    const { notices, onNotice } = noting();
    await app.register(fastifyLimit, { provider: provider(), rate: FIVE, key, onNotice });
    app.get("/", () => "hello");
    app.get("/own", { config: { rateLimit: { name: "default", rate: other, key } } }, () => "hello");
    await app.inject("/");
    expect(notices.map(({ code }) => code)).toEqual(["NAME_SHARED"]);
  });
});

describe("a notice", () => {
  const misuse = (options: Partial<RateLimitOptions<object>>) => {
    const guard = new Guard({ provider: provider(), rate: FIVE, key, ...options } as RateLimitOptions<object>);
    const raw = {};
    for (let i = 0; i < 3; i++) guard.check(requestOn(raw, false));
  };

  it("is a warning of the process by default", async () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    try {
      misuse({});
      expect(warned.mock.calls).toEqual([
        [expect.stringMatching(/^limiter "default": it got a request/), { type: "TrypemaNotice", code: "MET_TWICE" }],
      ]);
    } finally {
      warned.mockRestore();
    }
  });

  it("is a warning of the console where there is no process", () => {
    const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
    vi.stubGlobal("process", undefined);
    try {
      misuse({});
      expect(warned.mock.calls).toEqual([[expect.stringMatching(/^TrypemaNotice MET_TWICE: limiter "default"/)]]);
    } finally {
      vi.unstubAllGlobals();
      warned.mockRestore();
    }
  });

  it("is none where nobody wants to know", () => {
    const warned = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    const onError = vi.fn();
    misuse({ onNotice: false, onError });
    expect(warned).not.toHaveBeenCalled();
    expect(onError).not.toHaveBeenCalled();
    warned.mockRestore();
    expect(() => misuse({ onNotice: "none" as never })).toThrow(/onNotice: got "none", expected a function or false/);
  });

  it("does no harm when whoever is told throws or rejects", async () => {
    const onError = vi.fn();
    const boom = new Error("boom");
    misuse({
      onError,
      onNotice() {
        throw boom;
      },
    });
    misuse({ onError, onNotice: () => Promise.reject(boom) });
    await expect.poll(() => onError).toHaveBeenCalledTimes(2);
    expect(onError.mock.calls).toEqual([
      [boom, "callback", "default"],
      [boom, "callback", "default"],
    ]);
  });
});

describe("what is not counted", () => {
  const settled = async (uncounted: (response: HttpResponse) => unknown) => {
    const shared = provider();
    const onError = vi.fn();
    const limits = { provider: shared, rate: FIVE, key, onError, uncounted } as RateLimitOptions<Request>;
    await fetchLimit(limits, () => new Response("hello"))(new Request("http://localhost/"));
    await new Promise(setImmediate);
    return { total: limiterOf(shared).get("k").total, onError };
  };

  it("may be found out by a function that has to wait", async () => {
    expect(await settled(async () => false)).toMatchObject({ total: 1 });
    expect(await settled(async () => true)).toMatchObject({ total: 0 });
    expect(await settled(async ({ status }) => status === 200)).toMatchObject({ total: 0 });
  });

  it("is counted when that function rejects, which is told", async () => {
    const boom = new Error("boom");
    const { total, onError } = await settled(() => Promise.reject(boom));
    expect(total).toBe(1);
    expect(onError).toHaveBeenCalledWith(boom, "callback", "default");
  });
});
