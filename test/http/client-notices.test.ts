// Mistakes in who a request counts for: what a limiter says of them, in every framework, and that it says it once.

import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { createLocalProvider, perSecond } from "trypema";
import { rateLimit as expressLimit } from "trypema/express";
import { rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as fetchLimit } from "trypema/fetch";
import { rateLimit as honoLimit } from "trypema/hono";
import { clientAddress, combined, Guard, type HttpRequest, type Key, type Notice } from "trypema/http";
import { rateLimit as koaLimit } from "trypema/koa";
import { rateLimit as nodeLimit } from "trypema/node";
import { afterEach, describe, expect, it } from "vitest";
import { frameworks, start } from "./frameworks.ts";
import { send } from "./raw-client.ts";

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()));
});

/** Options, and the notices that come of them. */
function noted(key?: Key) {
  const notices: Notice[] = [];
  const provider = createLocalProvider({ windowMs: 10_000 });
  const onNotice = (notice: Notice) => notices.push(notice);
  return { notices, options: { provider, rate: perSecond(100), onNotice, ...(key && { key }) } };
}

const codes = (notices: readonly Notice[]) => notices.map(({ code }) => code);

function request(peerAddress: string | undefined, headers: Record<string, string> = {}): HttpRequest<object> {
  return { raw: {}, method: "GET", path: "/", peerAddress, header: (name) => headers[name] };
}

async function noticesOf(key: Key | undefined, ...requests: HttpRequest<object>[]): Promise<Notice[]> {
  const { notices, options } = noted(key);
  const guard = new Guard<object>(options);
  for (const each of requests) await guard.check(each);
  return notices;
}

async function listen(listener: RequestListener, on: string | number = 0): Promise<AddressInfo> {
  const server = createServer(listener);
  if (typeof on === "string") server.listen(on);
  else server.listen(on, "127.0.0.1");
  await once(server, "listening");
  stops.push(async () => server.close());
  return server.address() as AddressInfo;
}

describe("a proxy that the limiter wasn't told of", () => {
  it.each(frameworks)("is noticed once by its header: %s", async (framework) => {
    const { notices, options } = noted();
    const { port, stop } = await start(framework, options);
    stops.push(stop);
    await send(port);
    expect(notices).toEqual([]);
    for (let i = 0; i < 3; i++) await send(port, { headers: ["X-Forwarded-For: 203.0.113.7"] });
    expect(notices).toMatchObject([
      { code: "PROXY_UNNAMED", limiter: "default", message: expect.stringContaining("clientAddress({ proxies: 1 })") },
    ]);
  });

  type Options = ReturnType<typeof noted>["options"];
  const settings: Record<string, (options: Options, isSet: boolean) => Promise<RequestListener>> = {
    async "trust proxy"(options, isSet) {
      const app = express();
      if (isSet) app.set("trust proxy", 1);
      app.use(expressLimit(options));
      return app;
    },
    async trustProxy(options, isSet) {
      const app = Fastify({ trustProxy: isSet });
      await app.register(fastifyLimit, options);
      await app.ready();
      return app.routing as RequestListener;
    },
    async "app.proxy"(options, isSet) {
      const app = new Koa({ proxy: isSet });
      app.use(koaLimit(options));
      return app.callback();
    },
  };

  it.each(Object.keys(settings))("is noticed by the framework's %s", async (setting) => {
    for (const [isSet, key, expected] of [
      [true, undefined, ["PROXY_UNNAMED"]],
      [false, undefined, []],
      [true, clientAddress({ proxies: 1 }), []],
      [true, () => "k", []],
    ] as const) {
      const { notices, options } = noted(key);
      const { port } = await listen(await settings[setting]!(options, isSet));
      await send(port);
      await send(port);
      expect(codes(notices)).toEqual(expected);
      for (const { message } of notices) expect(message).toContain(`the framework was told of its proxy (${setting})`);
    }
  });

  it.each([
    [{ forwarded: "for=203.0.113.7" }, 'clientAddress({ proxies: 1, header: "forwarded" })'],
    [{ "cf-connecting-ip": "203.0.113.7" }, 'clientAddress({ proxies: 1, header: "cf-connecting-ip" })'],
    [{ "x-real-ip": "2001:db8::7" }, 'clientAddress({ proxies: 1, header: "x-real-ip" })'],
  ])("is noticed by %o", async (headers, advice) => {
    const notices = await noticesOf(undefined, request("10.0.0.1", headers as Record<string, string>));
    expect(notices).toMatchObject([{ code: "PROXY_UNNAMED", message: expect.stringContaining(advice) }]);
  });

  it.each([
    ["a header that names the peer, as on Workers", "203.0.113.7", { "x-forwarded-for": "1.1.1.1, 203.0.113.7" }],
    ["one that names it in another form", "::ffff:203.0.113.7", { "x-real-ip": "203.0.113.7" }],
    ["a header that says nothing", "203.0.113.7", { "x-forwarded-for": "" }],
    ["garbage", "203.0.113.7", { "x-forwarded-for": "<script>", forwarded: ";;" }],
    [
      "what proxies between say, where the peer is known from a header",
      "203.0.113.7",
      { "cf-connecting-ip": "203.0.113.7", "x-forwarded-for": "203.0.113.7, 172.68.1.1" },
    ],
  ])("is not noticed by %s", async (_, peer, headers) => {
    expect(await noticesOf(undefined, request(peer, headers as Record<string, string>))).toEqual([]);
  });

  it("is noticed where the address is one of several parts of a key", async () => {
    const from = request("10.0.0.1", { "x-forwarded-for": "203.0.113.7" });
    const login = () => "login";
    expect(codes(await noticesOf(combined(login, clientAddress()), from))).toEqual(["PROXY_UNNAMED"]);
    expect(codes(await noticesOf(combined(login, clientAddress({ proxies: 1 })), from))).toEqual([]);
  });

  it("is looked for in a limiter's first hundred requests only, so that it costs nothing after that", async () => {
    let headersRead = 0;
    const counting = () => ({ ...request("10.0.0.1"), header: () => void headersRead++ });
    await noticesOf(undefined, ...Array.from({ length: 1_000 }, counting));
    expect(headersRead).toBe(500);
  });
});

describe("proxies that were counted", () => {
  const key = clientAddress({ proxies: 2 });

  it("and of which fewer write into the header are noticed once", async () => {
    const headers = { "x-forwarded-for": "203.0.113.7" };
    const notices = await noticesOf(key, request("10.0.0.1", headers), request("10.0.0.1", headers));
    expect(notices).toMatchObject([{ code: "PROXIES_MISSING", message: expect.stringContaining("proxies: 2") }]);
  });

  it("are not noticed when there are as many, nor for a health check", async () => {
    const right = request("10.0.0.1", { "x-forwarded-for": "203.0.113.7, 10.0.0.2" });
    expect(await noticesOf(key, request("10.0.0.1"), right)).toEqual([]);
  });
});

describe("a peer that nobody tells of", () => {
  const handler = () => new Response("hello");

  it("is refused by fetch, where it is known before the first request that none will have a key", () => {
    for (const key of [undefined, clientAddress({ proxies: ["loopback"] }), combined(() => "login", clientAddress())]) {
      const made = () => fetchLimit(noted(key).options, handler);
      expect(made).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
      expect(made).toThrow(/limiter "default": the peer's address isn't known; give peerAddress, or a key, or/);
    }
    const { options } = noted();
    expect(() => fetchLimit({ ...options, onMissingKey: "skip" }, handler)).toThrow(/the peer's address isn't known/);
    fetchLimit({ ...options, peerAddress: () => "203.0.113.7" }, handler);
    fetchLimit({ ...options, key: () => "k" }, handler);
    fetchLimit({ ...options, onMissingKey: { shared: "all" } }, handler);
  });

  it("needs no telling behind proxies that are counted", async () => {
    const limited = fetchLimit(noted(clientAddress({ proxies: 1 })).options, handler);
    const headers = { "x-forwarded-for": "203.0.113.7" };
    expect((await limited(new Request("http://localhost", { headers }))).status).toBe(200);
  });

  it("is noticed by Hono where there is no node-server, and by fetch where peerAddress finds none", async () => {
    const { notices, options } = noted();
    const app = new Hono().use(honoLimit(options)).get("/", (context) => context.text("hello"));
    expect((await app.request("/")).status).toBe(400);
    await app.request("/");
    expect(notices).toMatchObject([{ code: "PEER_UNKNOWN", message: expect.stringContaining("peerAddress") }]);
    const other = noted();
    await fetchLimit({ ...other.options, peerAddress: () => undefined }, handler)(new Request("http://localhost"));
    expect(codes(other.notices)).toEqual(["PEER_UNKNOWN"]);
  });

  it("is noticed on a unix socket that wasn't named", async () => {
    const { notices, options } = noted();
    const path = join(tmpdir(), `trypema-notices-${process.pid}.sock`);
    await listen(
      nodeLimit(options, (_, response) => response.end()),
      path,
    );
    expect((await send(path)).status).toBe(400);
    expect(notices).toMatchObject([{ code: "PEER_UNKNOWN", message: expect.stringContaining('proxies: ["unix"]') }]);
  });

  it("is not noticed where others are known: that one's connection was closed", async () => {
    expect(await noticesOf(undefined, request("203.0.113.7"), request(undefined))).toEqual([]);
  });
});

describe("a key function that finds no key", () => {
  const nobody: Key = () => undefined;
  const some = Array.from({ length: 10 }, () => request("203.0.113.7"));

  it("is noticed once, when so many requests had none that none seems to have one", async () => {
    expect(await noticesOf(nobody, ...some.slice(1))).toEqual([]);
    expect(await noticesOf(nobody, ...some, ...some)).toMatchObject([
      { code: "KEY_MISSING", message: expect.stringContaining("express.json()") },
    ]);
  });

  it("is not noticed where some request had a key, or where such requests pass", async () => {
    let calls = 0;
    expect(await noticesOf(() => (calls++ === 0 ? "ann" : undefined), ...some, ...some)).toEqual([]);
    for (const passing of [{ onMissingKey: "skip" }, { onMissingKey: { shared: "all" } }, { shadow: true }] as const) {
      const { notices, options } = noted(nobody);
      const guard = new Guard<object>({ ...options, ...passing });
      for (const each of some) await guard.check(each);
      expect(notices).toEqual([]);
    }
  });
});

describe("a key that is a whole IPv6 address", () => {
  const ipOf: Key = ({ raw }) => (raw as { ip: string }).ip;
  const noticesOfIp = (ip: string, key: Key = ipOf) => {
    const from = () => ({ ...request("10.0.0.1"), raw: { ip } });
    return noticesOf(key, from(), from());
  };

  it.each(["2001:db8::7", "2001:DB8:1:2:3:4:5:6", "::1", "2001:db8::7%eth0"])("%s is noticed once", async (ip) => {
    expect(await noticesOfIp(ip)).toMatchObject([
      { code: "IPV6_WHOLE", message: expect.stringContaining("clientAddress()") },
    ]);
  });

  it("is noticed as one of several parts", async () => {
    expect(
      codes(
        await noticesOfIp(
          "2001:db8::7",
          combined(() => "login", ipOf),
        ),
      ),
    ).toEqual(["IPV6_WHOLE"]);
  });

  it.each(["203.0.113.7", "::ffff:203.0.113.7", "fe80::1", "2001:db8:0:0::/64", "user:7", "a:b:c"])(
    "%s is none",
    async (ip) => {
      expect(await noticesOfIp(ip)).toEqual([]);
    },
  );

  it("isn't looked for in long keys, of which a client might choose all parts", async () => {
    expect(await noticesOfIp(`${"a:|".repeat(5_000)}2001:db8::7`)).toEqual([]);
  });

  it("is nobody's mistake where clientAddress was told so", async () => {
    expect(await noticesOf(clientAddress({ ipv6PrefixBits: 128 }), request("2001:db8::7"))).toEqual([]);
  });
});
