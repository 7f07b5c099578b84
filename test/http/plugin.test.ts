// What one adapter has and the others don't: routes of Fastify, mounted routers, unix sockets, responses of fetch.

import { once } from "node:events";
import { createServer, IncomingMessage, type Server, ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { connect, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import Fastify, { type FastifyContextConfig } from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { createLocalProvider, days, hours, minutes, perSecond, seconds, TrypemaError } from "trypema";
import { rateLimit as expressLimit } from "trypema/express";
import { type FastifyRateLimitOptions, rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as honoLimit } from "trypema/hono";
import { clientAddress, type GuardOptions, type LimiterDefinition, reservationOf } from "trypema/http";
import { rateLimit as koaLimit } from "trypema/koa";
import { rateLimit as nodeLimit } from "trypema/node";
import { manualClock } from "trypema/testing";
import { describe, expect, it, vi } from "vitest";
import { limiterOf } from "./limiter-of.ts";
import { bytesOf, limitLines, send } from "./raw-client.ts";

/** Its time stands still, so that what is told of a window is the same on a slow machine. */
const provider = () => createLocalProvider({ windowMs: 10_000, clock: manualClock() });
const ONE = perSecond(0.1);

describe("Fastify's plugin", () => {
  async function application(options: Partial<GuardOptions & LimiterDefinition> & { hook?: "preHandler" }) {
    const app = Fastify();
    await app.register(fastifyLimit, { provider: provider(), ...options } as FastifyRateLimitOptions);
    app.get("/", () => "hello");
    app.get("/own", { config: { rateLimit: { name: "own", rate: perSecond(0.3) } } }, () => "hello");
    app.get("/free", { config: { rateLimit: false } }, () => "hello");
    const statuses = async (path: string, count: number) => {
      const seen = [];
      for (let i = 0; i < count; i++) seen.push((await app.inject(path)).statusCode);
      return seen;
    };
    return { app, statuses };
  }

  it("limits each route by its own options, or by the plugin's, or not", async () => {
    const { statuses } = await application({ rate: ONE });
    expect(await statuses("/", 2)).toEqual([200, 429]);
    expect(await statuses("/own", 4)).toEqual([200, 200, 200, 429]);
    expect(await statuses("/free", 3)).toEqual([200, 200, 200]);
    expect(await statuses("/nowhere", 1)).toEqual([429]);
  });

  it("limits by a count, also what no route matches, and routes by windows and blocks of their own", async () => {
    const app = Fastify();
    await app.register(fastifyLimit, { provider: provider(), limit: 2, windowMs: seconds(5) });
    const login = { name: "login", limit: 1, windowMs: minutes(15), blockMs: hours(1) };
    app.get("/login", { config: { rateLimit: login } }, () => "welcome");
    const several = { limiters: [login, { name: "day", limit: 5, windowMs: days(1), bucketMs: minutes(1) }] };
    app.get("/several", { config: { rateLimit: several } }, () => "welcome");
    const answers = [];
    for (const path of ["/no", "/no", "/no", "/login", "/login", "/several"]) {
      const { statusCode, headers } = await app.inject(path);
      const { ratelimit, "retry-after": retryAfter } = headers;
      answers.push(`${statusCode} ${ratelimit} ${retryAfter}`);
    }
    expect(answers).toEqual([
      '404 "default";r=1;t=5 undefined',
      '404 "default";r=0;t=5 undefined',
      '429 "default";r=0;t=5 5',
      '200 "login";r=0;t=900 undefined',
      '429 "login";r=0;t=3600 3600',
      '429 "login";r=0;t=3600, "day";r=5 3600',
    ]);
  });

  it("may have no limits but the routes', which share the rest of its options", async () => {
    const { app, statuses } = await application({ headers: "draft-7", status: 420 });
    expect(await statuses("/", 3)).toEqual([200, 200, 200]);
    expect(await statuses("/own", 4)).toEqual([200, 200, 200, 420]);
    expect((await app.inject("/own")).headers).toHaveProperty(
      "ratelimit",
      expect.stringMatching(/^limit=3, remaining=0, reset=\d+$/),
    );
  });

  it("refuses what limits nothing: an option of a limiter without a limit, or beside limiters, and unknown ones", async () => {
    const register = (options: FastifyRateLimitOptions) => async () => Fastify().register(fastifyLimit, options);
    const shared = { provider: provider() };
    const limiters = [{ name: "a", limit: 5 }];
    // @ts-expect-error no limit
    await expect(register({ ...shared, key: () => "k" })).rejects.toThrow(/^default\.limit: got undefined/);
    // @ts-expect-error an option of a limiter
    await expect(register({ ...shared, limiters, onBackendFailure: "local" })).rejects.toThrow(/beside them/);
    // @ts-expect-error no option
    await expect(register({ ...shared, max: 5 })).rejects.toThrow(/options\.max is not an option/);
    // @ts-expect-error an option of a limiter, of a route
    const config: FastifyContextConfig = { rateLimit: { limiters, onBackendFailure: "local" } };
    const app = Fastify();
    await app.register(fastifyLimit, shared);
    expect(() => app.get("/", { config }, () => "")).toThrow(/limiters: got onBackendFailure beside them/);
  });

  it("knows the body when it is asked to decide after that was read", async () => {
    const key = ({ raw }: { raw: unknown }) => (raw as { body?: { user?: string } }).body?.user;
    const { app } = await application({ rate: ONE, hook: "preHandler", key });
    app.post("/", () => "hello");
    const post = async (user: string) => (await app.inject({ method: "POST", url: "/", payload: { user } })).statusCode;
    expect([await post("ann"), await post("ann"), await post("bob")]).toEqual([200, 429, 200]);
  });

  it("counts a request once whose handler says that there is nothing, and not at all on a route without limits", async () => {
    const counts = provider();
    const { app } = await application({ provider: counts, rate: perSecond(1), hook: "preHandler" });
    app.get("/gone", (_, reply) => reply.callNotFound());
    app.get("/free/gone", { config: { rateLimit: false } }, (_, reply) => reply.callNotFound());
    const total = () => limiterOf(counts).get("127.0.0.1").total;
    for (const [path, expected] of [
      ["/free/gone", 0],
      ["/gone", 1],
      ["/nowhere", 2],
    ] as const) {
      expect((await app.inject(path)).statusCode).toBe(404);
      expect(total()).toBe(expected);
    }
  });

  it.each(["onRequest", "preHandler"] as const)(
    "limits routes of the turn in which it isn't awaited (%s)",
    async (hook) => {
      const app = Fastify();
      app.get("/before", () => "hello");
      app.register(fastifyLimit, { provider: provider(), rate: ONE, hook });
      app.get("/", { onRequest: (_, __, done) => done() }, () => "hello");
      app.get("/own", { config: { rateLimit: { name: "own", rate: perSecond(0.2) } } }, () => "hello");
      app.get("/free", { config: { rateLimit: false } }, () => "hello");
      app.register(async (inner) =>
        inner.get("/inner", { config: { rateLimit: { name: "inner", rate: ONE } } }, () => "hello"),
      );
      app.after(() => app.get("/after", { config: { rateLimit: { name: "after", rate: ONE } } }, () => "hello"));
      const seen: number[] = [];
      const paths = [
        "/before",
        "/",
        "/own",
        "/own",
        "/own",
        "/free",
        "/free",
        "/inner",
        "/inner",
        "/after",
        "/after",
        "/no",
      ];
      for (const path of paths) seen.push((await app.inject(path)).statusCode);
      expect(seen).toEqual([200, 429, 200, 200, 429, 200, 200, 200, 429, 200, 429, 429]);
    },
  );

  it.each(["GET", "HEAD"] as const)(
    "counts a request once for limits of a route that two plugins meet (%s)",
    async (method) => {
      const shared = provider();
      const app = Fastify();
      await app.register(fastifyLimit, { provider: shared, name: "all", rate: perSecond(1) });
      await app.register(async (inner) => {
        await inner.register(fastifyLimit, { provider: shared, name: "inner", rate: perSecond(1) });
        inner.get("/", () => "hello");
        inner.get("/own", { config: { rateLimit: { name: "own", rate: perSecond(0.3) } } }, () => "hello");
      });
      const told = async (url: string) => {
        const { ratelimit } = (await app.inject({ method, url })).headers;
        return ratelimit;
      };
      expect(await told("/own")).toBe('"own";r=2;t=10');
      expect(await told("/")).toBe('"all";r=9;t=10, "inner";r=9;t=10');
    },
  );

  it("answers with an error on a route whose limits are wrong and that it met too late to refuse", async () => {
    const app = Fastify();
    app.register(fastifyLimit, { provider: provider() });
    app.get("/", { config: { rateLimit: { name: "a b", rate: ONE } } }, () => "hello");
    for (let i = 0; i < 2; i++) expect((await app.inject("/")).statusCode).toBe(500);
  });

  it("gives hooks with limits of their own, also for the not-found handler, beside its own limits", async () => {
    const { app } = await application({ rate: perSecond(1) });
    const unknown = app.rateLimit({ name: "unknown", rate: perSecond(0.2) });
    app.setNotFoundHandler({ preHandler: unknown }, (_, reply) => reply.code(404).send("nothing here"));
    app.get("/gone", { preHandler: unknown }, (_, reply) => reply.callNotFound());
    app.get("/two", { onRequest: app.rateLimit({ limiters: [{ name: "two", limit: 2 }] }) }, () => "hello");
    const answers: string[] = [];
    for (const path of ["/nowhere", "/gone", "/nowhere", "/two"]) {
      const { statusCode, headers } = await app.inject(path);
      const { ratelimit } = headers;
      answers.push(`${statusCode} ${ratelimit}`);
    }
    expect(answers).toEqual([
      '404 "default";r=9;t=10, "unknown";r=1;t=10',
      '404 "default";r=8;t=10, "unknown";r=0;t=10',
      '429 "default";r=8, "unknown";r=0;t=10',
      '200 "two";r=1;t=10, "default";r=7;t=10',
    ]);
  });

  it("makes hooks in the provider of the nearest plugin, with what it shares, and refuses wrong ones at once", async () => {
    const [outer, inner] = [provider(), provider()];
    const app = Fastify();
    await app.register(fastifyLimit, { provider: outer, status: 420 });
    await app.register(fastifyLimit, { provider: provider(), name: "second", rate: perSecond(1) });
    app.get("/outer", { preHandler: app.rateLimit({ name: "hook", rate: ONE }) }, () => "hello");
    await app.register(async (child) => {
      await child.register(fastifyLimit, { provider: inner });
      child.get("/inner", { preHandler: child.rateLimit({ name: "hook", rate: ONE }) }, () => "hello");
    });
    const seen: number[] = [];
    for (const path of ["/outer", "/outer", "/inner", "/inner"]) seen.push((await app.inject(path)).statusCode);
    expect(seen).toEqual([200, 420, 200, 429]);
    expect([outer, inner].map((each) => limiterOf(each, "hook").get("127.0.0.1").total)).toEqual([1, 1]);
    expect(() => app.rateLimit({ name: "a b", rate: ONE })).toThrow(TrypemaError);
    // @ts-expect-error the limits of a hook have a name of their own
    app.rateLimit({ rate: ONE });
  });

  it("refuses a route whose limits are wrong when it is registered", async () => {
    const { app } = await application({ rate: ONE });
    const own = { name: "own", rate: perSecond(0.01) };
    expect(() => app.get("/clash", { config: { rateLimit: own } }, () => "")).toThrow(/holds less than one request/);
  });
});

it("Express's middlewares on one request share one list, and the last gives back what the first took", async () => {
  const app = express();
  const shared = provider();
  app.use(expressLimit({ provider: shared, name: "all", rate: perSecond(1) }));
  const paths: string[] = [];
  const seen = expressLimit({ provider: shared, name: "path", rate: ONE, skip: ({ path }) => paths.push(path) === 0 });
  app.use("/mounted", seen, (_, response) => void response.end());
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const first = await send(port, { path: "/mounted/x?y=z" });
  expect(limitLines(first)[1]).toBe('ratelimit: "all";r=9;t=10, "path";r=0;t=10');
  for (let i = 0; i < 3; i++) expect((await send(port, { path: "/mounted/x" })).status).toBe(429);
  expect(limiterOf(shared, "all").get("127.0.0.1").total).toBe(1);
  expect(paths[0]).toBe("/mounted/x");
  server.close();
});

it("Express's goes on without a word where another has answered while it decided", async () => {
  const app = express();
  const failed = vi.fn();
  const handled = vi.fn();
  app.use((_, response, next) => {
    next();
    response.end("too slow");
  });
  app.use(expressLimit({ provider: provider(), rate: ONE, key: async () => "k" }));
  app.use(() => handled());
  app.use((error: unknown, _: express.Request, __: express.Response, next: (error: unknown) => void) => {
    failed(error);
    next(error);
  });
  const server = createServer(app).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  expect((await send(port)).body).toBe("too slow");
  expect((await send(port)).body).toBe("too slow");
  await expect.poll(() => handled).toHaveBeenCalledTimes(1);
  expect(failed).not.toHaveBeenCalled();
  server.close();
});

it.each(["node:http", "Hono"])(
  "a unix socket's peer is nobody on %s, unless it is trusted to name the client",
  async (on) => {
    for (const [proxies, statuses] of [
      [[], [400, 400]],
      [["unix"], [200, 429]],
    ] as const) {
      const options = { provider: provider(), rate: ONE, key: clientAddress({ proxies }), onNotice: false } as const;
      const app = new Hono().use(honoLimit(options)).get("/", (context) => context.text("hello"));
      const server =
        on === "Hono" ? createAdaptorServer(app) : createServer(nodeLimit(options, (_, response) => response.end()));
      const path = join(tmpdir(), `trypema-${process.pid}-${proxies.length}.sock`);
      server.listen(path);
      await once(server, "listening");
      const headers = ["X-Forwarded-For: 203.0.113.7"];
      expect([(await send(path, { headers })).status, (await send(path, { headers })).status]).toEqual(statuses);
      server.close();
    }
  },
);

it("a failed response that ended early is counted, by adapters that can tell", async () => {
  const limits = provider();
  let begun = () => {};
  const isBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let closed = false;
  const server = createServer(
    nodeLimit({ provider: limits, rate: perSecond(1), uncounted: "failed" }, (_, response) => {
      response.writeHead(500).write("x");
      response.once("close", () => {
        closed = true;
      });
      begun();
    }),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
  socket.write(bytesOf({}));
  await isBegun;
  socket.destroy();
  await expect.poll(() => closed).toBe(true);
  expect(limiterOf(limits).get("127.0.0.1").total).toBe(1);
  server.close();
});

it("a response that the connection broke under is counted, although its handler has ended it", async () => {
  const limits = provider();
  let isFinished = false;
  const server = createServer(
    nodeLimit({ provider: limits, rate: perSecond(1), uncounted: "successful" }, (_, response) => {
      response.once("finish", () => {
        isFinished = true;
      });
      // More than the buffers of a connection hold, so that a client that doesn't read never gets all of it.
      response.end(Buffer.alloc(20_000_000));
    }),
  ).listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = connect((server.address() as { port: number }).port, "127.0.0.1").pause();
  socket.write(bytesOf({}));
  await once(socket, "readable");
  socket.destroy();
  await expect.poll(() => isFinished).toBe(true);
  expect(limiterOf(limits).get("127.0.0.1").total).toBe(1);
  server.close();
});

it.each([{ method: "GET" }, undefined])("a response that knows of its request only %j is settled", async (known) => {
  const limits = provider();
  const options = { provider: limits, rate: perSecond(1), key: () => "k", uncounted: "failed" } as const;
  const limited = nodeLimit(options, (_, response) => {
    response.statusCode = 500;
    response.end();
  });
  // Serverless functions make their messages so.
  const request = Object.assign(new IncomingMessage(new Socket()), { method: "GET", url: "/" });
  const response = Object.assign(new ServerResponse(request), { req: known });
  response.assignSocket(new Writable({ write: (_, __, done) => done() }) as Socket);
  limited(request, response as ServerResponse);
  await once(response, "finish");
  expect(limiterOf(limits).get("k").total).toBe(0);
});

it("node:http answers 500 when its handler throws or rejects, and closes what was begun", async () => {
  const onError = vi.fn();
  const handler = nodeLimit({ provider: provider(), rate: perSecond(10), onError }, ({ url }, response) => {
    if (url === "/begun") response.write("x");
    if (url === "/async") return Promise.reject(new Error("async"));
    throw new Error("sync");
  });
  const server = createServer(handler).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  expect((await send(port)).status).toBe(500);
  expect((await send(port, { path: "/async" })).status).toBe(500);
  await expect(send(port, { path: "/begun" })).rejects.toThrow();
  expect(onError).toHaveBeenCalledTimes(3);
  server.close();
});

it("Koa's limits see the whole path also where an application is mounted", async () => {
  const app = new Koa();
  const paths: string[] = [];
  app.use((context, next) => {
    context.path = context.path.slice("/mounted".length);
    return next();
  });
  app.use(koaLimit({ provider: provider(), rate: ONE, skip: ({ path }) => paths.push(path) === 0 }));
  const server = createServer(app.callback()).listen(0, "127.0.0.1");
  await once(server, "listening");
  await send((server.address() as { port: number }).port, { path: "/mounted/a?b" });
  expect(paths).toEqual(["/mounted/a"]);
  server.close();
});

describe("Koa's answers to errors", () => {
  const koa = (handler: Koa.Middleware) => {
    const app = new Koa();
    app.silent = true;
    app.use(koaLimit({ provider: provider(), rate: perSecond(1), exposeHeaders: true }));
    app.use(handler);
    return app.callback();
  };
  const asked = async (server: Server) => {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const response = await send((server.address() as { port: number }).port);
    server.close();
    return response;
  };
  const policy = 'ratelimit-policy: "default";q=10;w=10';

  it("have the fields, except for those that the error has itself", async () => {
    const headers = { ratelimit: '"mine";r=1', "access-control-expose-headers": "x-why", "x-why": "because" };
    const response = await asked(createServer(koa((context) => context.throw(401, { headers }))));
    expect(response.status).toBe(401);
    expect(limitLines(response)).toEqual([policy, 'ratelimit: "mine";r=1']);
    expect(response.lines).toEqual(
      expect.arrayContaining([
        "x-why: because",
        "access-control-expose-headers: x-why, ratelimit-policy, ratelimit, retry-after",
      ]),
    );
  });

  it("have them over HTTP/2", async () => {
    const server = createHttp2Server(koa((context) => context.throw(401))).listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
    const [headers] = await once(client.request({ ":path": "/" }), "response");
    expect(headers).toMatchObject({ ":status": 401, ratelimit: '"default";r=9;t=10' });
    client.close();
    server.close();
  });

  it("leave an error alone that answers other requests too", async () => {
    const only = Object.assign(new Error("no"), { status: 403 });
    const failed = koa(() => {
      throw only;
    });
    const server = createServer(failed).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    for (const left of [9, 8]) {
      expect(limitLines(await send(port))).toContain(`ratelimit: "default";r=${left};t=10`);
    }
    expect(Object.keys(only).sort()).toEqual(["status"]);
    server.close();
  });
});

it("one of respond and handler answers denials, which the compiler sees to", () => {
  const limits = { provider: provider(), rate: ONE };
  const respond = () => ({});
  // @ts-expect-error both
  expect(() => expressLimit({ ...limits, respond, handler: (_, response) => response.end() })).toThrow(
    /both handler and respond/,
  );
  // @ts-expect-error both
  expect(() => koaLimit({ ...limits, respond, handler: (context) => context.throw(429) })).toThrow(
    /both handler and respond/,
  );
  // @ts-expect-error the arguments are Koa's
  expect(koaLimit({ ...limits, handler: (_, __, next: () => void) => next() })).toBeDefined();
  expect(koaLimit({ ...limits, handler: (context, { status }) => context.throw(status) })).toBeDefined();
});

it("reservations want a request that was limited", () => {
  expect(() => reservationOf({})).toThrow(/that no limiter has seen/);
});
