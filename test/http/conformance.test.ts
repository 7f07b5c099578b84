// One table for all adapters: the real frameworks, real HTTP, and what is on the wire byte for byte.

import { once } from "node:events";
import { connect } from "node:net";
import {
  createLocalProvider,
  type Decision,
  type Limiter,
  type Provider,
  perSecond,
  seconds,
  TrypemaError,
} from "trypema";
import {
  clientAddress,
  combined,
  type DecisionEvent,
  type Denial,
  derivedKey,
  type GuardOptions,
  type HttpRequest,
  type HttpResponse,
  type LimiterDefinition,
  requestHeader,
} from "trypema/http";
import { createFakeRedisProvider, manualClock } from "trypema/testing";
import { afterEach, describe, expect, it, vi } from "vitest";
import { frameworks, type OnDenial, type Running, start, UPSTREAM } from "./frameworks.ts";
import { limiterOf } from "./limiter-of.ts";
import { bytesOf, limitLines, type RawRequest, send, sendAll } from "./raw-client.ts";

const TEN_SECONDS = 10_000;
/** Three in ten seconds. */
const THREE = perSecond(0.3);

type Limits = Partial<GuardOptions> & (LimiterDefinition | { readonly limiters: readonly LimiterDefinition[] });

const clock = manualClock(1_000_000);
const running: Running[] = [];

function local(): Provider {
  return createLocalProvider({ windowMs: TEN_SECONDS, clock });
}

/** The same provider as one that has to be awaited, and that has nothing but what users' own providers have. */
function promising({ absolute, suppressed, windowMs, withWindow, close }: Provider): Provider {
  const wrap = <L extends Limiter>(limiter: L): L =>
    new Proxy(limiter, {
      get: (target, name) => {
        const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
        return async (...args: unknown[]) => Reflect.apply(method, target, args);
      },
    });
  const other: Provider["withWindow"] = (window) => promising(withWindow(window));
  return { absolute: wrap(absolute), suppressed: wrap(suppressed), windowMs, withWindow: other, close };
}

function failing(fail: () => Decision | Promise<Decision>): Provider {
  const provider = local();
  const wrap = <L extends Limiter>(limiter: L): L =>
    new Proxy(limiter, { get: (target, name) => (name === "inc" ? fail : Reflect.get(target, name)) });
  const withWindow = () => failing(fail) as ReturnType<Provider["withWindow"]>;
  return { ...provider, withWindow, absolute: wrap(provider.absolute), suppressed: wrap(provider.suppressed) };
}

const unavailable = () => new TrypemaError("BACKEND_UNAVAILABLE", "no backend");

afterEach(async () => {
  await Promise.all(running.splice(0).map(({ stop }) => stop()));
});

const providers: Record<string, () => Provider> = {
  "a value": local,
  "a promise": () => createFakeRedisProvider({ windowMs: TEN_SECONDS, clock }),
  "a promise, and isn't of this package": () => promising(local()),
};
const cases = frameworks.flatMap((framework) => Object.keys(providers).map((kind) => ({ framework, kind })));

describe.each(cases)("$framework, with a provider that returns $kind", ({ framework, kind }) => {
  const serve = (...limits: readonly Limits[]) => serveWith(undefined, ...limits);

  async function serveWith(onDenial: OnDenial | undefined, ...limits: readonly Limits[]): Promise<Running> {
    const stacked = limits.map((each) => ({ provider: providers[kind]!(), ...each }));
    const server = await start(framework, stacked, undefined, onDenial);
    running.push(server);
    return server;
  }

  const statuses = async (port: number, count: number, request?: RawRequest): Promise<number[]> => {
    const seen: number[] = [];
    for (let i = 0; i < count; i++) seen.push((await send(port, request)).status);
    return seen;
  };

  it("tells clients where they stand, and turns away who is over the limit", async () => {
    const { port, handled } = await serve({ rate: THREE });
    const policy = 'ratelimit-policy: "default";q=3;w=10';
    for (const left of [2, 1, 0]) {
      const response = await send(port);
      expect(response).toMatchObject({ status: 200, body: "hello\n" });
      expect(limitLines(response)).toEqual([policy, `ratelimit: "default";r=${left};t=10`]);
    }
    clock.advance(5_500);
    const denied = await send(port);
    expect(denied.status).toBe(429);
    expect(limitLines(denied)).toEqual([policy, 'ratelimit: "default";r=0;t=5', "retry-after: 5"]);
    expect(denied.lines).toContain("content-type: application/problem+json");
    expect(denied.body).toBe(
      '{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too many requests","status":429,' +
        '"detail":"Too many requests. Try again in 5 s.","violated-policies":["default"]}',
    );
    expect(handled()).toBe(3);
    clock.advance(4_500);
    expect((await send(port)).status).toBe(200);
  });

  it("answers in text who wants no JSON", async () => {
    const { port } = await serve({ rate: perSecond(0.1) });
    const denied = (await Promise.all([0, 1].map(() => send(port, { headers: ["Accept: text/plain"] })))).at(-1)!;
    expect(denied.lines).toContain("content-type: text/plain; charset=utf-8");
    expect(denied.body).toBe("Too many requests. Try again in 10 s.\n");
  });

  it("puts several limiters into one list, and gives back what the earlier ones took", async () => {
    const burst = { name: "burst", rate: perSecond(0.5) };
    const { port } = await serve({ limiters: [burst, { name: "write", rate: perSecond(0.2) }] });
    const policy = 'ratelimit-policy: "burst";q=5;w=10, "write";q=2;w=10';
    for (const left of [1, 0]) {
      const state = `ratelimit: "burst";r=${left + 3};t=10, "write";r=${left};t=10`;
      expect(limitLines(await send(port))).toEqual([policy, state]);
    }
    for (let i = 0; i < 5; i++) {
      const denied = await send(port);
      expect(denied.status).toBe(429);
      const state = 'ratelimit: "burst";r=3, "write";r=0;t=10';
      expect(limitLines(denied)).toEqual([policy, state, "retry-after: 10"]);
      expect(JSON.parse(denied.body)["violated-policies"]).toEqual(["write"]);
    }
  });

  it("puts limiters that are stacked into one list, and says of a denial what the one that denied says", async () => {
    const burst = { name: "burst", rate: perSecond(0.5) };
    const { port } = await serve(burst, { name: "day", rate: perSecond(0.2) });
    const policy = 'ratelimit-policy: "burst";q=5;w=10, "day";q=2;w=10';
    for (const left of [1, 0]) {
      const state = `ratelimit: "burst";r=${left + 3};t=10, "day";r=${left};t=10`;
      expect(limitLines(await send(port))).toEqual([policy, state]);
    }
    const denied = await send(port);
    expect(denied.status).toBe(429);
    expect(limitLines(denied)).toEqual([policy, 'ratelimit: "burst";r=3, "day";r=0;t=10', "retry-after: 10"]);
  });

  it("leaves the fields alone that the handler sets itself, with limiters that are stacked too", async () => {
    const upstream = Object.entries(UPSTREAM).map(([name, value]) => `${name}: ${value}`);
    for (const limits of [[{ rate: THREE }], [{ name: "burst", rate: perSecond(1) }, { rate: THREE }]]) {
      const { port } = await serve(...limits);
      const response = await send(port, { path: "/upstream" });
      expect(response.status).toBe(503);
      expect(limitLines(response)).toEqual([
        expect.stringMatching(/^ratelimit-policy: .*"default";q=3;w=10/),
        ...upstream,
      ]);
      expect(limitLines(await send(port))).toContainEqual(expect.stringMatching(/^ratelimit: .*"default";r=1;t=10/));
    }
  });

  it("tells clients where they stand when the handler fails, and gives that back if told so", async () => {
    const provider = providers[kind]!();
    const { port } = await serve(
      { name: "burst", rate: perSecond(0.5), uncounted: "failed", provider },
      { rate: THREE },
    );
    const failed = await send(port, { path: "/throw" });
    expect(failed.status).toBe(401);
    expect(limitLines(failed)).toEqual([
      'ratelimit-policy: "burst";q=5;w=10, "default";q=3;w=10',
      'ratelimit: "burst";r=4;t=10, "default";r=2;t=10',
    ]);
    await expect.poll(async () => (await limiterOf(provider, "burst").get("127.0.0.1")).total).toBe(0);
  });

  it("shows its fields to scripts of other origins if told so, once", async () => {
    const exposed = "access-control-expose-headers: ratelimit-policy, ratelimit, retry-after";
    const limits = { rate: perSecond(0.2), exposeHeaders: true };
    const { port } = await serve(limits, { ...limits, name: "other" });
    for (const path of ["/", "/throw", "/"]) expect((await send(port, { path })).lines).toContain(exposed);
    const silent = await serve({ rate: THREE });
    expect((await send(silent.port)).lines.join()).not.toContain("access-control");
  });

  it("keeps connections alive over denials and unread bodies", async () => {
    const { port } = await serve({ rate: perSecond(0.2) });
    const post = { method: "POST", body: "x".repeat(100_000), headers: ["Content-Type: text/x"] };
    const responses = await sendAll(port, [post, post, post, {}, { ...post, body: "" }]);
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 429, 429, 429]);
  });

  it("limits HEAD and OPTIONS like all methods, without a body where there is none", async () => {
    const { port } = await serve({ rate: perSecond(0.2) });
    expect((await send(port, { method: "OPTIONS" })).status).toBe(200);
    expect(limitLines(await send(port, { method: "HEAD" }))).toContain('ratelimit: "default";r=0;t=10');
    const [head, options] = await sendAll(port, [{ method: "HEAD" }, { method: "OPTIONS" }]);
    expect(limitLines(head!)).toEqual(limitLines(options!));
    expect([head!.status, options!.status]).toEqual([429, 429]);
    expect(JSON.parse(options!.body).status).toBe(429);
  });

  it("lets streams through, with the fields in front", async () => {
    const { port } = await serve({ rate: THREE });
    const response = await send(port, { path: "/stream" });
    expect(response.body).toBe("one\ntwo\nthree\n");
    expect(limitLines(response)).toContain('ratelimit: "default";r=2;t=10');
  });

  it("answers 400 when there is no key, or skips the request, or counts it for a shared key", async () => {
    const key = requestHeader("x-api-key");
    const rejecting = await serve({ rate: THREE, key });
    const rejected = await send(rejecting.port, { headers: ["Accept: application/json"] });
    expect(rejected.status).toBe(400);
    expect(JSON.parse(rejected.body)).toEqual({
      type: "about:blank",
      title: "Bad Request",
      status: 400,
      detail: "This request doesn't say who it is from.",
    });
    expect((await send(rejecting.port, { headers: ["X-API-Key: k"] })).status).toBe(200);
    const skipping = await serve({ rate: perSecond(0.1), key, onMissingKey: "skip" });
    expect(await statuses(skipping.port, 3)).toEqual([200, 200, 200]);
    const sharing = await serve({ rate: perSecond(0.1), key, onMissingKey: { shared: "anonymous" } });
    expect(await statuses(sharing.port, 2)).toEqual([200, 429]);
    expect((await send(sharing.port, { headers: ["X-API-Key: anonymous"] })).status).toBe(200);
  });

  it("takes a request's own rate, cost and key, and skips what it is told to", async () => {
    const { port } = await serve({
      rate: (request) => (request.header("x-plan") === "pro" ? perSecond(1) : THREE),
      cost: (request) => Number(request.header("x-cost") ?? 1),
      key: combined(requestHeader("x-user"), async ({ method }) => method),
      skip: ({ path }) => path === "/health",
    });
    const [ann, bob] = ["X-User: ann", "X-User: bob"];
    expect(await statuses(port, 2, { headers: [ann, "X-Cost: 3"] })).toEqual([200, 429]);
    expect(await statuses(port, 2, { headers: [ann, "X-Cost: 3", "X-Plan: pro"] })).toEqual([200, 200]);
    expect(await statuses(port, 1, { headers: [bob, "X-Cost: 3"] })).toEqual([200]);
    expect(await statuses(port, 1, { headers: [ann], method: "PUT" })).toEqual([200]);
    expect(await statuses(port, 5, { headers: [ann], path: "/health?x" })).toEqual([200, 200, 200, 200, 200]);
  });

  it("tells the metrics the strategy of each limiter, and which requests it skipped, but no callback", async () => {
    const observed: string[] = [];
    const onDecision = vi.fn();
    const limiters = [
      { name: "free", rate: THREE, cost: 0, onDecision },
      { name: "calls", rate: THREE, skip: async ({ path }: HttpRequest) => path === "/health", onDecision },
      { name: "load", rate: THREE, strategy: "suppressed" as const, onDecision },
    ];
    const { port } = await serve({
      limiters,
      metrics: {
        decided: ({ limiter, strategy, outcome, admitted, degraded }) =>
          observed.push(`${limiter} ${strategy} ${outcome} ${admitted} ${degraded}`),
        failed() {},
      },
    });
    expect(limitLines(await send(port, { path: "/health" }))[0]).toBe('ratelimit-policy: "load";q=3;w=10');
    expect(observed).toEqual([
      "free absolute skipped true false",
      "calls absolute skipped true false",
      "load suppressed allowed true false",
    ]);
    expect(onDecision).toHaveBeenCalledTimes(1);
  });

  it("limits nobody whom a list allows, by the address that a trusted proxy names, and tells them nothing", async () => {
    const allow = ["203.0.113.0/24", "2001:db8::1"];
    const key = clientAddress({ proxies: ["loopback"] });
    const provider = providers[kind]!();
    const { port } = await serve({ provider, rate: perSecond(0.1), key, allow });
    const via = (list: string) => ({ headers: [`X-Forwarded-For: ${list}`] });
    for (const client of ["203.0.113.7", "::ffff:203.0.113.7", "8.8.8.8, [::ffff:cb00:7107]:80", "2001:DB8:0::1"]) {
      expect(await statuses(port, 2, via(client))).toEqual([200, 200]);
      expect(limitLines(await send(port, via(client)))).toEqual([]);
    }
    expect((await limiterOf(provider).get("203.0.113.7")).total).toBe(0);
    // What a client writes to the left of its own address is worth nothing, and neither is a neighbour in the /64.
    expect(await statuses(port, 2, via("203.0.113.7, 198.51.100.1"))).toEqual([200, 429]);
    expect(await statuses(port, 2, via("2001:db8::2"))).toEqual([200, 429]);
    const direct = await serve({ rate: perSecond(0.1), allow });
    expect(await statuses(direct.port, 2, via("203.0.113.7"))).toEqual([200, 429]);
    const peers = await serve({ rate: perSecond(0.1), allow: ["loopback"] });
    expect(await statuses(peers.port, 2)).toEqual([200, 200]);
  });

  it("limits nobody whom a function allows, which is told the key", async () => {
    const asked: string[] = [];
    const allow = async ({ path }: HttpRequest, key: string) => {
      asked.push(key);
      return key === "staff" || path === "/allowed";
    };
    const key = requestHeader("x-user");
    const { port } = await serve({ rate: perSecond(0.1), key, allow, onMissingKey: { shared: "staff" } });
    expect(await statuses(port, 2, { headers: ["X-User: staff"] })).toEqual([200, 200]);
    expect(await statuses(port, 2, { headers: ["X-User: ann"] })).toEqual([200, 429]);
    expect(await statuses(port, 1, { headers: ["X-User: ann"], path: "/allowed" })).toEqual([200]);
    // Requests without a key share one, but not the name of a client.
    expect(await statuses(port, 2)).toEqual([200, 429]);
    expect(asked).toEqual(["staff", "staff", "ann", "ann", "ann", "", ""]);
  });

  it("tells the key to the functions of rate, limit and cost", async () => {
    const plans: Record<string, number> = { ann: 2 };
    const long = "x".repeat(100);
    const key = requestHeader("x-user");
    const limit = async (_: HttpRequest, user: string) => plans[user] ?? (user === long ? 3 : 1);
    const limited = await serve({ limit, key });
    for (const [user, seen] of [
      ["ann", [200, 200, 429]],
      ["bob", [200, 429, 429]],
      [long, [200, 200, 200]],
    ] as const) {
      expect(await statuses(limited.port, 3, { headers: [`X-User: ${user}`] })).toEqual(seen);
    }
    const rate = (_: HttpRequest, user: string) => (user === "closed" ? "none" : THREE);
    const rated = await serve({ rate, key, cost: (_, user) => (user === "heavy" ? 3 : 1) });
    expect(await statuses(rated.port, 1, { headers: ["X-User: closed"] })).toEqual([429]);
    expect(await statuses(rated.port, 2, { headers: ["X-User: heavy"] })).toEqual([200, 429]);
    expect(await statuses(rated.port, 2, { headers: ["X-User: light"] })).toEqual([200, 200]);
  });

  it("lets callbacks take the request's methods out", async () => {
    const { port } = await serve({ rate: perSecond(0.1), key: ({ header }) => header("x-user") });
    expect(await statuses(port, 2, { headers: ["X-User: ann"] })).toEqual([200, 429]);
    expect(await statuses(port, 1, { headers: ["X-User: bob"] })).toEqual([200]);
  });

  it("counts by a key that is a number, and answers 500 where it is no key", async () => {
    const key = ({ header }: HttpRequest) => Number(header("x-user"));
    const { port } = await serve({ rate: perSecond(0.1), key });
    expect(await statuses(port, 2, { headers: ["X-User: 0"] })).toEqual([200, 429]);
    expect(await statuses(port, 1, { headers: ["X-User: 1"] })).toEqual([200]);
    expect(await statuses(port, 1)).toEqual([500]);
  });

  it("denies at a rate of none, and lets pass what is free", async () => {
    const { port, handled } = await serve({
      rate: ({ path }) => (path === "/none" ? "none" : perSecond(0.1)),
      cost: ({ path }) => (path === "/free" ? 0 : 1),
    });
    const denied = await send(port, { path: "/none" });
    expect(denied.status).toBe(429);
    expect(limitLines(denied)).toEqual(['ratelimit-policy: "default";q=0;w=10', 'ratelimit: "default";r=0']);
    expect(handled()).toBe(0);
    expect(await statuses(port, 2)).toEqual([200, 429]);
    expect(await statuses(port, 2, { path: "/free" })).toEqual([200, 200]);
  });

  it("answers 500 when a callback throws, takes nothing, and goes on", async () => {
    const boom = () => {
      throw new Error("boom");
    };
    const isBad = ({ path }: { path: string }) => path !== "/";
    for (const definition of [
      { key: (request) => (isBad(request) ? boom() : "k"), rate: THREE },
      { rate: (request) => (isBad(request) ? boom() : THREE) },
      { rate: THREE, cost: async (request) => (isBad(request) ? boom() : 1) },
      { rate: THREE, cost: (request) => (isBad(request) ? Number.NaN : 1) },
      { rate: THREE, skip: async (request) => isBad(request) && boom() },
      { rate: THREE, allow: (request) => isBad(request) && boom() },
    ] satisfies LimiterDefinition[]) {
      const limiters = [
        { name: "first", rate: THREE },
        { ...definition, name: "second" },
      ];
      const { port } = await serve({ limiters });
      expect(await statuses(port, 4, { path: "/bad" })).toEqual([500, 500, 500, 500]);
      expect(await statuses(port, 3)).toEqual([200, 200, 200]);
    }
  });

  it("does no harm with hooks that throw, and reports them", async () => {
    const onError = vi.fn();
    const throwing = () => {
      throw new Error("sync");
    };
    const limiters = [
      { name: "a", rate: THREE, onDecision: throwing },
      { name: "b", rate: THREE, onDecision: async () => throwing() },
    ];
    const { port } = await serve({
      limiters,
      onError,
      respond: throwing,
      metrics: { decided: throwing, failed: throwing },
    });
    expect(await statuses(port, 4)).toEqual([200, 200, 200, 429]);
    expect(onError.mock.calls.length).toBeGreaterThanOrEqual(8);
    expect(new Set(onError.mock.calls.map(([, what]) => what))).toEqual(new Set(["callback"]));
  });

  it("gives back what failed responses took, if told so, and counts those that ended early", async () => {
    const provider = providers[kind]!();
    const { port, handled } = await serve({ provider, rate: THREE, uncounted: "failed" });
    expect(await statuses(port, 6, { path: "/fail" })).toEqual([500, 500, 500, 500, 500, 500]);
    await expect.poll(async () => (await limiterOf(provider).get("127.0.0.1")).total).toBe(0);
    expect(await statuses(port, 1)).toEqual([200]);
    const before = handled();
    const socket = connect(port, "127.0.0.1");
    socket.write(bytesOf({ path: "/stream" }));
    await expect.poll(handled).toBe(before + 1);
    socket.destroy();
    await once(socket, "close");
    expect(await statuses(port, 2)).toEqual([200, 429]);
  });

  it("gives back what a function says of the response, which is told its status and its headers", async () => {
    const provider = providers[kind]!();
    const seen: unknown[] = [];
    const uncounted = async ({ status, header }: HttpResponse, { path }: HttpRequest) => {
      seen.push([path, status, header("retry-after"), header("content-type"), header("x-nothing")]);
      return header("retry-after") === "77";
    };
    const { port } = await serve({ provider, rate: THREE, headers: "none", uncounted });
    expect(await statuses(port, 4, { path: "/upstream" })).toEqual([503, 503, 503, 503]);
    await expect.poll(async () => (await limiterOf(provider).get("127.0.0.1")).total).toBe(0);
    expect(await statuses(port, 4)).toEqual([200, 200, 200, 429]);
    const text = "text/plain; charset=utf-8";
    await expect.poll(() => seen).toHaveLength(7);
    expect(seen.slice(3, 5)).toEqual([
      ["/upstream", 503, "77", text, undefined],
      ["/", 200, undefined, text, undefined],
    ]);
  });

  it("sends the fields of several forms at once, and the limit without what is left if told so", async () => {
    const headers = ["draft-10", "x-ratelimit"] as const;
    const both = await serve({ rate: THREE, headers, exposeHeaders: true });
    const response = await send(both.port);
    const lines = [...response.lines].filter((line) => /^(x-)?ratelimit|expose/.test(line));
    expect(lines).toEqual(
      expect.arrayContaining([
        'ratelimit-policy: "default";q=3;w=10',
        'ratelimit: "default";r=2;t=10',
        "x-ratelimit-limit: 3",
        "x-ratelimit-remaining: 2",
        expect.stringMatching(/^x-ratelimit-reset: \d+$/),
        "access-control-expose-headers: ratelimit-policy, ratelimit, " +
          "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after",
      ]),
    );
    const silent = await serve({ rate: perSecond(0.1), headers, hideRemaining: true, exposeHeaders: true });
    for (const status of [200, 429]) {
      const told = await send(silent.port);
      expect(told.status).toBe(status);
      expect(told.lines.filter((line) => /ratelimit|retry/.test(line)).toSorted()).toEqual([
        "access-control-expose-headers: ratelimit-policy, x-ratelimit-limit, retry-after",
        'ratelimit-policy: "default";q=1;w=10',
        ...(status === 429 ? ["retry-after: 10"] : []),
        "x-ratelimit-limit: 1",
      ]);
    }
  });

  it("lets a handler correct the cost", async () => {
    const { port } = await serve({ rate: perSecond(0.5) });
    expect(limitLines(await send(port, { path: "/more" }))).toContain('ratelimit: "default";r=4;t=10');
    expect(limitLines(await send(port))).toContain('ratelimit: "default";r=1;t=10');
  });

  it("survives clients that go away while it decides", async () => {
    let decide = () => {};
    const decided = new Promise<void>((resolve) => {
      decide = resolve;
    });
    const asked = vi.fn();
    const key = ({ path }: { path: string }) => {
      if (path !== "/wait") return "k";
      asked();
      return decided.then(() => "k");
    };
    const { port } = await serve({ rate: perSecond(1), key });
    const sockets = Array.from({ length: 5 }, () => connect(port, "127.0.0.1"));
    for (const socket of sockets) socket.write(bytesOf({ path: "/wait" }));
    await expect.poll(() => asked).toHaveBeenCalledTimes(5);
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map((socket) => once(socket, "close")));
    decide();
    await expect.poll(async () => limitLines(await send(port))[1]).toMatch(/r=[0-4];/);
    expect((await send(port, { path: "/stream" })).status).toBe(200);
  });

  it("answers in the words of a responder", async () => {
    const { port } = await serve({
      rate: perSecond(0.1),
      status: 420,
      headers: "none",
      respond: ({ reason, limiter, status, retryAfterSeconds }, { path }) => ({
        headers: { "content-type": "text/x", "x-why": reason },
        body: `${limiter} ${status} ${retryAfterSeconds} ${path}\n`,
      }),
    });
    await send(port);
    const denied = await send(port, { path: "/a?b=c" });
    expect(denied.status).toBe(420);
    expect(denied.body).toBe("default 420 10 /a\n");
    expect(denied.lines).toEqual(expect.arrayContaining(["content-type: text/x", "x-why: quota-exceeded"]));
    expect(limitLines(denied)).toEqual(["retry-after: 10"]);
  });

  it("answers by a handler with the framework's own means, with the status and the fields set before", async () => {
    const denials: Denial[] = [];
    const onDenial = (denial: Denial) => {
      denials.push(denial);
      return { status: denial.status, chunks: ["slow", " down"], headers: { "x-why": denial.reason } };
    };
    const { port, handled } = await serveWith(
      onDenial,
      { name: "burst", rate: perSecond(0.5) },
      { rate: perSecond(0.1), exposeHeaders: true },
    );
    await send(port);
    const denied = await send(port);
    expect([denied.status, denied.body]).toEqual([429, "slow down"]);
    expect(limitLines(denied)).toEqual([
      'ratelimit-policy: "burst";q=5;w=10, "default";q=1;w=10',
      'ratelimit: "burst";r=4, "default";r=0;t=10',
      "retry-after: 10",
    ]);
    expect(denied.lines).toContain("x-why: quota-exceeded");
    expect(denied.lines).toContain("access-control-expose-headers: ratelimit-policy, ratelimit, retry-after");
    expect(denied.lines.join()).not.toContain("problem+json");
    expect(denials).toMatchObject([{ limiter: "default", violated: ["default"], status: 429, retryAfterSeconds: 10 }]);
    expect(handled()).toBe(1);
  });

  it("passes what a handler throws to the framework's error handling, and goes on denying", async () => {
    const { port, handled } = await serveWith(() => undefined, { rate: perSecond(0.1) });
    const failed = framework === "node:http" ? 500 : 401;
    expect(await statuses(port, 3)).toEqual([200, failed, failed]);
    expect(handled()).toBe(1);
    await expect(
      start(framework, { provider: local(), rate: THREE, respond: () => ({}) }, undefined, () => undefined),
    ).rejects.toMatchObject({ code: "INVALID_OPTION", message: expect.stringContaining("one of the two") });
  });

  it("decides in the shadow without denying or telling anybody", async () => {
    const events: DecisionEvent[] = [];
    const { port } = await serve({ rate: perSecond(0.2), shadow: true, onDecision: (event) => events.push(event) });
    for (let i = 0; i < 4; i++) {
      const response = await send(port);
      expect(response.status).toBe(200);
      expect(limitLines(response)).toEqual([]);
    }
    expect(events.map(({ outcome, admitted }) => `${outcome} ${admitted}`)).toEqual([
      "allowed true",
      "allowed true",
      "rejected true",
      "rejected true",
    ]);
  });

  it("asks several limiters as one, each with a window of its own, and denials use up nothing", async () => {
    const provider = providers[kind]!();
    const limiters = [
      { name: "day", limit: 5, windowMs: seconds(100), bucketMs: seconds(1) },
      { name: "burst", limit: 2, windowMs: seconds(1) },
    ];
    const { port, handled } = await serve({ provider, limiters });
    const policy = 'ratelimit-policy: "day";q=5;w=100, "burst";q=2;w=1';
    for (const [left, moreSeconds] of [
      [3, 100],
      [1, 99],
    ]) {
      expect(await statuses(port, 1)).toEqual([200]);
      const state = `ratelimit: "day";r=${left};t=${moreSeconds}, "burst";r=0;t=1`;
      expect(limitLines(await send(port))).toEqual([policy, state]);
      const denied = await send(port);
      expect(denied.status).toBe(429);
      expect(limitLines(denied)).toEqual([policy, `ratelimit: "day";r=${left}, "burst";r=0;t=1`, "retry-after: 1"]);
      expect(JSON.parse(denied.body)["violated-policies"]).toEqual(["burst"]);
      clock.advance(1_000);
    }
    expect(await statuses(port, 2)).toEqual([200, 429]);
    expect(handled()).toBe(5);
  });

  it("says until when a blocked client is blocked, and that it is", async () => {
    const events: DecisionEvent[] = [];
    const observed: string[] = [];
    const { port } = await serve({
      name: "login",
      limit: 2,
      blockMs: seconds(30),
      onDecision: (event) => events.push(event),
      metrics: { decided: ({ outcome }) => observed.push(outcome), failed() {} },
    });
    expect(await statuses(port, 2)).toEqual([200, 200]);
    for (const leftSeconds of [30, 20]) {
      const denied = await send(port);
      expect(denied.status).toBe(429);
      expect(limitLines(denied)).toEqual([
        'ratelimit-policy: "login";q=2;w=10',
        `ratelimit: "login";r=0;t=${leftSeconds}`,
        `retry-after: ${leftSeconds}`,
      ]);
      expect(JSON.parse(denied.body)).toEqual({
        type: "https://iana.org/assignments/http-problem-types#abnormal-usage-detected",
        title: "Blocked after too many requests",
        status: 429,
        detail: `Blocked. Try again in ${leftSeconds} s.`,
        "violated-policies": ["login"],
      });
      clock.advance(10_000);
    }
    clock.advance(10_000);
    expect(await statuses(port, 1)).toEqual([200]);
    expect(observed).toEqual(["allowed", "allowed", "blocked", "blocked", "allowed"]);
    expect(events.map(({ outcome }) => outcome)).toEqual(observed);
  });

  it("names a block to responders, and all limiters that deny", async () => {
    const limiters = [
      { name: "burst", limit: 1 },
      { name: "login", limit: 1, blockMs: seconds(60) },
    ];
    const { port } = await serve({
      limiters,
      respond: ({ reason, limiter, violated }) => ({ body: `${reason} ${limiter} ${violated.join()}` }),
    });
    const bodies = [];
    for (let i = 0; i < 3; i++) bodies.push((await send(port)).body);
    // Limiters of a provider that isn't of this package are asked one after the other.
    const [denied, later] = kind.includes("isn't")
      ? ["quota-exceeded burst burst", "quota-exceeded burst burst"]
      : ["blocked login burst,login", "blocked login burst,login"];
    expect(bodies).toEqual(["hello\n", denied, later]);
  });

  it("takes a request's own limit", async () => {
    const limits: Record<string, number | "none"> = { pro: 4, closed: "none" };
    const { port } = await serve({
      limit: async ({ header }) => limits[header("x-plan") ?? ""] ?? 2,
      windowMs: seconds(20),
      key: requestHeader("x-user"),
    });
    const as = (user: string, plan: string) => ({ headers: [`X-User: ${user}`, `X-Plan: ${plan}`] });
    expect(await statuses(port, 3, as("ann", "free"))).toEqual([200, 200, 429]);
    expect(await statuses(port, 3, as("ann", "pro"))).toEqual([200, 200, 429]);
    expect(limitLines(await send(port, as("bob", "pro")))).toEqual([
      'ratelimit-policy: "default";q=4;w=20',
      'ratelimit: "default";r=3;t=20',
    ]);
    expect(await statuses(port, 1, as("bob", "closed"))).toEqual([429]);
  });

  it("takes a request's own window, in which it has counts of its own", async () => {
    const windows: Record<string, number> = { trial: seconds(5), odd: -1 };
    const { port, handled } = await serve({
      limit: 2,
      windowMs: async ({ header }, user) =>
        user === "bob" ? seconds(40) : (windows[header("x-plan")!] ?? seconds(20)),
      key: requestHeader("x-user"),
      uncounted: "failed",
    });
    const as = (user: string, plan: string, path = "/") => ({ path, headers: [`X-User: ${user}`, `X-Plan: ${plan}`] });
    expect(await statuses(port, 3, as("ann", "trial"))).toEqual([200, 200, 429]);
    expect(limitLines(await send(port, as("ann", "pro")))).toEqual([
      'ratelimit-policy: "default";q=2;w=20',
      'ratelimit: "default";r=1;t=20',
    ]);
    clock.advance(5_000);
    expect(await statuses(port, 3, as("ann", "trial"))).toEqual([200, 200, 429]);
    expect(await statuses(port, 2, as("ann", "pro"))).toEqual([200, 429]);
    expect(limitLines(await send(port, as("bob", "trial")))).toEqual([
      'ratelimit-policy: "default";q=2;w=40',
      'ratelimit: "default";r=1;t=40',
    ]);
    expect(await statuses(port, 1, as("ann", "odd"))).toEqual([500]);
    // The failed responses are given back in the window in which they were counted.
    expect(await statuses(port, 5, as("carl", "trial", "/fail"))).toEqual([500, 500, 500, 500, 500]);
    expect(await statuses(port, 2, as("carl", "trial"))).toEqual([200, 200]);
    expect(handled()).toBe(14);
  });

  it("has limiters with windows of their own requests decide as one", async () => {
    const windowMs = ({ header }: HttpRequest) => Number(header("x-seconds")) * 1_000;
    const limiters = [
      { name: "fixed", limit: 3 },
      { name: "own", limit: 1, windowMs },
    ];
    const { port } = await serve({ limiters });
    const within = (span: number) => ({ headers: [`X-Seconds: ${span}`] });
    expect(await statuses(port, 3, within(5))).toEqual([200, 429, 429]);
    expect(await statuses(port, 2, within(7))).toEqual([200, 429]);
    expect(limitLines(await send(port, within(9)))).toEqual([
      'ratelimit-policy: "fixed";q=3;w=10, "own";q=1;w=9',
      'ratelimit: "fixed";r=0;t=10, "own";r=0;t=9',
    ]);
  });

  it("decides in the window of the request too while the backend fails", async () => {
    const windowMs = ({ header }: HttpRequest) => Number(header("x-seconds")) * 1_000;
    const provider = failing(async () => Promise.reject(unavailable()));
    const within = (span: number) => ({ headers: [`X-Seconds: ${span}`] });
    for (const onBackendFailure of ["local", { provider: providers[kind]!() }] as const) {
      const { port } = await serve({ provider, limit: 2, windowMs, onBackendFailure });
      expect(await statuses(port, 3, within(30))).toEqual([200, 200, 429]);
      expect(limitLines(await send(port, within(40)))[0]).toBe('ratelimit-policy: "default";q=2;w=40');
    }
  });

  it("asks a shadow after the others have admitted a request, and lets it block nobody", async () => {
    const seen: string[] = [];
    const onDecision = ({ limiter, outcome }: DecisionEvent) => seen.push(`${limiter} ${outcome}`);
    const limiters = [
      { name: "shadow", limit: 1, blockMs: seconds(60), shadow: true, onDecision },
      { name: "calls", limit: 2, onDecision },
    ];
    const { port } = await serve({ limiters });
    expect(await statuses(port, 3)).toEqual([200, 200, 429]);
    expect(seen).toEqual(["calls allowed", "shadow allowed", "calls allowed", "shadow blocked", "calls rejected"]);
  });

  it("sheds load by the suppressed strategy, and gates on the decision", async () => {
    const outcomes: boolean[] = [];
    const draws = [0.99, 0, 0.99, 0];
    const provider = createLocalProvider({
      windowMs: TEN_SECONDS,
      hardLimitFactor: 100,
      suppressionCacheMs: 0,
      clock,
      random: () => draws.shift()!,
    });
    const made = kind === "a value" ? provider : promising(provider);
    const { port } = await serve({
      provider: made,
      rate: perSecond(0.2),
      strategy: "suppressed",
      onDecision: ({ decision }) => outcomes.push(decision!.allowed),
    });
    expect(await statuses(port, 6)).toEqual([200, 200, 200, 429, 200, 429]);
    expect(outcomes).toEqual([true, true, true, false, true, false]);
  });

  it("answers 503 where the provider denies because Redis is away, and gives back what Local counts meanwhile", async () => {
    const away = (onFailure: "deny" | "local") => {
      const provider = createFakeRedisProvider({ windowMs: TEN_SECONDS, onFailure });
      provider.redis = "down";
      return provider;
    };
    const { port } = await serve({ provider: away("deny"), rate: THREE });
    const denied = await send(port);
    expect(denied.status).toBe(503);
    expect(limitLines(denied)).toEqual(["retry-after: 1"]);
    expect(JSON.parse(denied.body)).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
    });
    const local = away("local");
    const standing = await serve({ provider: local, rate: THREE, uncounted: "failed" });
    expect(await statuses(standing.port, 3, { path: "/fail" })).toEqual([500, 500, 500]);
    await expect.poll(async () => (await limiterOf(local).get("127.0.0.1")).total).toBe(0);
    expect(await statuses(standing.port, 4)).toEqual([200, 200, 200, 429]);
  });

  it("allows, denies or decides locally while the backend fails", async () => {
    const fail =
      kind === "a value"
        ? () => {
            throw unavailable();
          }
        : () => Promise.reject(unavailable());
    const provider = () => failing(fail);
    const events: DecisionEvent[] = [];
    const onDecision = (event: DecisionEvent) => events.push(event);
    const allowing = await serve({ provider: provider(), rate: perSecond(0.1), onDecision });
    expect(await statuses(allowing.port, 3)).toEqual([200, 200, 200]);
    expect(events[0]).toMatchObject({ outcome: "unavailable", admitted: true, decision: undefined });
    expect(events[0]!.error).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    const denying = await serve({ provider: provider(), rate: THREE, onBackendFailure: "deny" });
    const denied = await send(denying.port);
    expect(denied.status).toBe(503);
    expect(JSON.parse(denied.body)).toMatchObject({
      type: "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
      "violated-policies": ["default"],
    });
    events.length = 0;
    const limits = { rate: perSecond(0.2), onBackendFailure: "local", onDecision } as const;
    const standing = await serve({ provider: provider(), ...limits });
    expect(await statuses(standing.port, 3)).toEqual([200, 200, 429]);
    expect(events.map(({ decision }) => decision?.degraded)).toEqual([true, true, true]);
  });

  it("asks another provider while the backend fails, and lets requests pass when that fails too", async () => {
    const events: DecisionEvent[] = [];
    const onDecision = (event: DecisionEvent) => events.push(event);
    const away = () => failing(async () => Promise.reject(unavailable()));
    const second = providers[kind]!();
    const limits = { name: "api", rate: perSecond(0.2), onDecision, uncounted: "failed" } as const;
    const { port } = await serve({ ...limits, provider: away(), onBackendFailure: { provider: second } });
    expect(await statuses(port, 1, { path: "/fail" })).toEqual([500]);
    await expect.poll(async () => (await limiterOf(second, "api").get("127.0.0.1")).total).toBe(0);
    expect(await statuses(port, 3)).toEqual([200, 200, 429]);
    expect((await limiterOf(second, "api").get("127.0.0.1")).total).toBe(2);
    expect(events.map(({ outcome, decision }) => [outcome, decision?.degraded])).toEqual([
      ["allowed", true],
      ["allowed", true],
      ["allowed", true],
      ["rejected", true],
    ]);
    expect(events[0]!.error).toMatchObject({ code: "BACKEND_UNAVAILABLE" });
    events.length = 0;
    const both = await serve({ ...limits, provider: away(), onBackendFailure: { provider: away() } });
    expect(await statuses(both.port, 3)).toEqual([200, 200, 200]);
    expect(events[0]).toMatchObject({ outcome: "unavailable", admitted: true, decision: undefined });
    expect((events[0]!.error as AggregateError).errors).toMatchObject([
      { code: "BACKEND_UNAVAILABLE" },
      { code: "BACKEND_UNAVAILABLE" },
    ]);
  });

  it("asks a function whether a request passes while the backend fails", async () => {
    const told: unknown[] = [];
    const answers: Record<string, string> = { "/deny": "deny", "/wrong": "perhaps" };
    const provider = failing(async () => Promise.reject(unavailable()));
    const { port } = await serve({
      provider,
      rate: THREE,
      onBackendFailure: async ({ path }, error) => {
        told.push((error as TrypemaError).code);
        return (answers[path] ?? "allow") as "allow" | "deny";
      },
    });
    expect(await statuses(port, 1)).toEqual([200]);
    expect(await statuses(port, 1, { path: "/deny" })).toEqual([503]);
    expect(await statuses(port, 1, { path: "/wrong" })).toEqual([500]);
    expect(told).toEqual(["BACKEND_UNAVAILABLE", "BACKEND_UNAVAILABLE", "BACKEND_UNAVAILABLE"]);
  });

  it("has for each key a derived one, by which an operator finds, blocks and forgets it", async () => {
    const provider = providers[kind]!();
    const long = "x".repeat(200);
    const key = requestHeader("x-user");
    const secret = requestHeader("x-api-key", { hash: true });
    const shared = { shared: "nobody" };
    const { port } = await serve({
      provider,
      limiters: [
        { name: "user", rate: THREE, key, onMissingKey: shared },
        { name: "secret", rate: THREE, key: secret, onMissingKey: "skip" },
      ],
    });
    for (const header of ["X-User: ann", `X-User: ${long}`, "X-API-Key: s3cret"]) {
      expect(await statuses(port, 1, { headers: [header] })).toEqual([200]);
    }
    const user = limiterOf(provider, "user");
    for (const each of ["ann", long, shared]) expect((await user.get(await derivedKey(each))).total).toBe(1);
    const hashed = await derivedKey("s3cret", { hash: true });
    expect((await limiterOf(provider, "secret").get(hashed)).total).toBe(1);
    expect(await user.delete(await derivedKey("ann"))).toBe(1);
    await user.block(await derivedKey(long), seconds(60));
    expect(await statuses(port, 1, { headers: ["X-User: ann"] })).toEqual([200]);
    expect(await statuses(port, 1, { headers: [`X-User: ${long}`] })).toEqual([429]);
  });
});
