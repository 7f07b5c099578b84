// What docs/migrating.md says of @fastify/rate-limit and of hono-rate-limiter, held against what they do, beside what
// stands for it here.

import fastifyPeer from "@fastify/rate-limit";
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { rateLimiter as honoPeer } from "hono-rate-limiter";
import { createLimits, createLocalProvider, minutes } from "trypema";
import { type FastifyRateLimitOptions, rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as honoLimit } from "trypema/hono";
import { clientAddress, type HttpRequest, reservationOf } from "trypema/http";
import { describe, expect, it } from "vitest";

const provider = () => createLocalProvider();

describe("@fastify/rate-limit", () => {
  type Routes = (app: FastifyInstance) => void;

  async function peer(options: Parameters<typeof fastifyPeer>[1], routes: Routes = () => {}) {
    const app = Fastify();
    await app.register(fastifyPeer, options);
    app.get("/", () => "hello");
    routes(app);
    return app;
  }

  async function ours(options: object, routes: Routes = () => {}) {
    const app = Fastify();
    await app.register(fastifyLimit, { provider: provider(), ...options } as FastifyRateLimitOptions);
    app.get("/", () => "hello");
    routes(app);
    return app;
  }

  async function statuses(app: FastifyInstance, ...requests: (string | object)[]): Promise<number[]> {
    const seen: number[] = [];
    for (const request of requests) seen.push((await app.inject(request as string)).statusCode);
    return seen;
  }

  it("limits by max and timeWindow as by limit and windowMs, also where functions say them, which get the key", async () => {
    const limits = new Map([["ann", 2]]);
    const windowOf = (key: string) => (key === "ann" ? minutes(2) : minutes(1));
    const user = (name: string) => ({ url: "/", headers: { "x-user": name } });
    const peers = await peer({
      timeWindow: (_: unknown, key: string) => windowOf(key),
      max: (_: unknown, key: string) => limits.get(key) ?? 1,
      keyGenerator: (request) => String(request.headers["x-user"]),
    });
    const same = await ours({
      windowMs: (_: HttpRequest, key: string) => windowOf(key),
      limit: (_: HttpRequest, key: string) => limits.get(key) ?? 1,
      key: ({ header }: HttpRequest) => header("x-user"),
    });
    const requests = ["ann", "bob", "ann", "bob", "ann"].map(user);
    const expected = [200, 200, 200, 429, 429];
    expect([await statuses(peers, ...requests), await statuses(same, ...requests)]).toEqual([expected, expected]);
  });

  it("has one count of a key in whatever window timeWindow gives, where windowMs has one in each", async () => {
    const at = (path: string) => ({ url: "/", headers: { "x-window": path } });
    const windowOf = (name: unknown) => (name === "long" ? minutes(2) : minutes(1));
    const peers = await peer({ max: 1, timeWindow: ({ headers }: FastifyRequest) => windowOf(headers["x-window"]) });
    const same = await ours({ limit: 1, windowMs: ({ header }: HttpRequest) => windowOf(header("x-window")) });
    const requests = ["short", "long", "short", "long"].map(at);
    expect(await statuses(peers, ...requests)).toEqual([200, 429, 429, 429]);
    expect(await statuses(same, ...requests)).toEqual([200, 200, 429, 429]);
    const policies = [];
    for (const request of requests) policies.push((await same.inject(request)).headers["ratelimit-policy"]);
    expect(policies.slice(0, 2)).toEqual(['"default";q=1;w=60', '"default";q=1;w=120']);
  });

  it.each([
    [{}, "x-ratelimit"],
    [{ enableDraftSpec: true }, "draft-6"],
  ] as const)(
    "with %j sends the fields of %j, which here have a policy, and moments for x-ratelimit",
    async (options, headers) => {
      const fieldsOf = async (app: FastifyInstance) => {
        const answers: unknown[] = [];
        for (let i = 0; i < 2; i++) {
          const fields = Object.entries((await app.inject("/")).headers).filter(([name]) =>
            /ratelimit-(limit|remaining)|retry-after/.test(name),
          );
          answers.push(fields.map(([name, value]) => `${name}: ${value}`).toSorted());
        }
        return answers;
      };
      const [theirs, same] = [await peer({ max: 1, ...options }), await ours({ limit: 1, headers })];
      expect(await fieldsOf(same)).toEqual(await fieldsOf(theirs));
      const resets = await Promise.all(
        [theirs, same].map(async (app) => {
          const { headers: sent } = await app.inject("/");
          return Number(sent["x-ratelimit-reset"] ?? sent["ratelimit-reset"]);
        }),
      );
      expect(resets.map((reset) => reset > 1_000_000)).toEqual([false, headers === "x-ratelimit"]);
    },
  );

  it("has routes with limits of their own or without, and none but these if told so", async () => {
    const peers = await peer({ global: false }, (app) => {
      app.get("/own", { config: { rateLimit: { max: 1 } } } as object, () => "hello");
    });
    const same = await ours({}, (app) => {
      app.get("/own", { config: { rateLimit: { name: "own", limit: 1 } } } as object, () => "hello");
    });
    for (const app of [peers, same])
      expect(await statuses(app, "/", "/", "/own", "/own")).toEqual([200, 200, 200, 429]);
    const free = (app: FastifyInstance) =>
      void app.get("/free", { config: { rateLimit: false } } as object, () => "hello");
    for (const app of [await peer({ max: 1 }, free), await ours({ limit: 1 }, free)]) {
      expect(await statuses(app, "/free", "/free", "/", "/")).toEqual([200, 200, 200, 429]);
    }
  });

  it("leaves alone what no route matches, where the plugin here limits it; both make hooks for it", async () => {
    expect(await statuses(await peer({ max: 1 }), "/no", "/no")).toEqual([404, 404]);
    expect(await statuses(await ours({ limit: 1 }), "/no", "/no")).toEqual([404, 429]);
    const [theirs, same] = [await peer({ global: false }), await ours({})];
    for (const [app, options] of [
      [theirs, { max: 1 }],
      [same, { name: "unknown", limit: 1 }],
    ] as const) {
      const preHandler = app.rateLimit(options as never);
      app.setNotFoundHandler({ preHandler }, (_, reply) => reply.code(404).send());
      expect(await statuses(app, "/no", "/no")).toEqual([404, 429]);
    }
  });

  it("allows keys, where a list here has addresses and networks, and a function on both sides gets the key", async () => {
    const own = { url: "/", remoteAddress: "203.0.113.7" };
    const other = { url: "/", remoteAddress: "198.51.100.1" };
    for (const [theirs, same] of [
      [["203.0.113.7"], ["203.0.113.0/24"]],
      [(_: unknown, key: string) => key === "203.0.113.7", (_: unknown, key: string) => key === "203.0.113.7"],
    ] as const) {
      const peers = await peer({ max: 1, allowList: theirs as never });
      const ourOwn = await ours({ limit: 1, allow: same });
      for (const app of [peers, ourOwn]) {
        expect(await statuses(app, own, own, other, other)).toEqual([200, 200, 200, 429]);
      }
    }
  });

  it("bans by 403 after some more requests until the window ends; blockMs blocks at the first denial", async () => {
    const ban = await statuses(await peer({ max: 1, ban: 1 }), "/", "/", "/");
    const block = await statuses(await ours({ limit: 1, blockMs: minutes(5) }), "/", "/", "/");
    expect([ban, block]).toEqual([
      [200, 429, 403],
      [200, 429, 429],
    ]);
  });

  it("makes an error by errorResponseBuilder, which stands here in a handler", async () => {
    const coded = () => Object.assign(new Error("slow down"), { statusCode: 420 });
    const peers = await peer({ max: 1, errorResponseBuilder: coded });
    const handler = () => {
      throw coded();
    };
    for (const app of [peers, await ours({ limit: 1, handler })]) {
      await app.inject("/");
      const { statusCode, body } = await app.inject("/");
      expect([statusCode, JSON.parse(body).message]).toEqual([420, "slow down"]);
    }
  });

  it("counts in networks of 64 bits, as here", async () => {
    const from = (remoteAddress: string) => ({ url: "/", remoteAddress });
    for (const app of [
      await peer({ max: 1, ipv6Subnet: 64 }),
      await ours({ limit: 1, key: clientAddress({ ipv6PrefixBits: 64 }) }),
    ]) {
      const seen = await statuses(app, from("2001:db8::1"), from("2001:db8::2"), from("2001:db8:0:1::1"));
      expect(seen).toEqual([200, 429, 200]);
    }
  });
});

describe("hono-rate-limiter", () => {
  const KEY = "user-123";

  function application(limiter: MiddlewareHandler) {
    const app = new Hono();
    app.use(limiter);
    app.get("/fail", (context) => context.text("failed", 500));
    app.get("*", (context) => context.text("hello"));
    return app;
  }

  const peer = (options: object) => application(honoPeer({ keyGenerator: () => KEY, ...options } as never));
  const ours = (options: object) =>
    application(honoLimit({ provider: provider(), key: () => KEY, limit: 5, ...options } as never));

  async function answersOf(app: Hono, ...paths: string[]) {
    const answers: unknown[] = [];
    for (const path of paths) {
      const { status, headers } = await app.request(path);
      const fields = [...headers].filter(([name]) => name.startsWith("ratelimit"));
      answers.push([status, fields.map(([name, value]) => `${name}: ${value.replace(/\d+$/, "…")}`)]);
    }
    return answers;
  }

  it.each([
    [{ limit: 1 }, { limit: 1, headers: "draft-6" }],
    [
      { limit: 1, standardHeaders: "draft-7" },
      { limit: 1, headers: "draft-7" },
    ],
    [
      { limit: 1, standardHeaders: false },
      { limit: 1, headers: "none" },
    ],
    [{}, { headers: "draft-6" }],
    [
      { limit: async (c: Context) => c.req.path.length },
      { limit: async ({ raw }: HttpRequest<Context>) => raw.req.path.length, headers: "draft-6" },
    ],
    [
      { limit: 1, skip: (c: Context) => c.req.path === "/" },
      { limit: 1, skip: ({ path }: HttpRequest) => path === "/", headers: "draft-6" },
    ],
    [
      { limit: 1, skipFailedRequests: true },
      { limit: 1, uncounted: "failed", headers: "draft-6" },
    ],
    [
      { limit: 1, skipSuccessfulRequests: true, requestWasSuccessful: (c: Context) => c.res.status === 500 },
      { limit: 1, uncounted: ({ status }: { status: number }) => status === 500, headers: "draft-6" },
    ],
    [
      { limit: 1, statusCode: 420 },
      { limit: 1, status: 420, headers: "draft-6" },
    ],
  ])("with %o does what %o does here", async (theirs, same) => {
    const paths = ["/", "/fail", "/fail", "/", "/long", "/"];
    expect(await answersOf(ours(same), ...paths)).toEqual(await answersOf(peer(theirs), ...paths));
  });

  it("answers by a handler, which gets the denial here", async () => {
    const peers = peer({ limit: 1, handler: (c: Context) => c.text("slow down", 403) });
    const same = ours({ limit: 1, handler: (c: Context) => c.text("slow down", 403) });
    for (const app of [peers, same]) {
      await app.request("/");
      const denied = await app.request("/");
      expect([denied.status, await denied.text(), denied.headers.get("retry-after")]).toEqual([403, "slow down", "60"]);
    }
  });

  it("tells the handlers what is left, and forgets a key by its store", async () => {
    const told: unknown[] = [];
    const peers = new Hono<{
      Variables: { rateLimit: { remaining: number }; rateLimitStore: { resetKey(key: string): unknown } };
    }>();
    peers.use(honoPeer({ keyGenerator: () => KEY, limit: 2 }) as never);
    peers.get("/", async (c) => {
      told.push(c.get("rateLimit").remaining);
      await c.get("rateLimitStore").resetKey(KEY);
      return c.text("hello");
    });
    const shared = provider();
    const api = { limit: 2, windowMs: minutes(1) };
    const same = new Hono();
    same.use(honoLimit({ provider: shared, name: "api", ...api, key: () => KEY }));
    same.get("/", (c) => {
      told.push(reservationOf(c).decisions[0]!.decision!.remaining);
      createLimits(shared, { api }).limiter("api").delete(KEY);
      return c.text("hello");
    });
    for (const app of [peers, same]) for (let i = 0; i < 3; i++) expect((await app.request("/")).status).toBe(200);
    expect(told).toEqual([1, 1, 1, 1, 1, 1]);
  });
});
