// HTTP/2 by Node's own server, whose messages look like those of node:http and end in other ways.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type ClientHttp2Session, connect, createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import Fastify from "fastify";
import Koa from "koa";
import { createLocalProvider, perSecond } from "trypema";
import { rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as koaLimit } from "trypema/koa";
import { rateLimit as nodeLimit } from "trypema/node";
import { manualClock } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { limiterOf } from "./limiter-of.ts";

const CANCEL = 8;

/** More than the flow control of a stream lets through, so that a client that doesn't read never gets all of it. */
const LARGE = Buffer.alloc(20_000_000);

type Respond = (response: ServerResponse) => void;

type Options = Parameters<typeof nodeLimit>[0];

/** Each answers by `respond` to the raw response. */
const servers: Record<string, (options: Options, respond: Respond) => Promise<{ port: number; stop: () => unknown }>> =
  {
    async "node:http2"(options, respond) {
      const limited = nodeLimit(options, (_, response) => respond(response));
      const server = createServer(limited as unknown as Parameters<typeof createServer>[1]).listen(0, "127.0.0.1");
      await once(server, "listening");
      return { port: (server.address() as AddressInfo).port, stop: () => server.close() };
    },

    async Koa(options, respond) {
      const app = new Koa();
      app.use(koaLimit(options as unknown as Parameters<typeof koaLimit>[0]));
      app.use((context) => {
        context.status = 200;
        context.respond = false;
        respond(context.res);
      });
      const server = createServer(app.callback() as unknown as Parameters<typeof createServer>[1]);
      await once(server.listen(0, "127.0.0.1"), "listening");
      return { port: (server.address() as AddressInfo).port, stop: () => server.close() };
    },

    async Fastify(options, respond) {
      const app = Fastify({ http2: true });
      await app.register(fastifyLimit, options as unknown as Parameters<typeof fastifyLimit>[1]);
      app.get("/", (_, reply) => respond(reply.hijack().raw as unknown as ServerResponse));
      await app.listen({ port: 0, host: "127.0.0.1" });
      return { port: (app.server.address() as AddressInfo).port, stop: () => app.close() };
    },
  };

describe.each(Object.keys(servers))("a response of %s over HTTP/2", (name) => {
  /** What is counted of one request after its response has finished. */
  async function countedAfter(respond: Respond, request: (session: ClientHttp2Session) => void): Promise<number> {
    const provider = createLocalProvider({ clock: manualClock() });
    let isFinished = false;
    const { port, stop } = await servers[name]!(
      { provider, rate: perSecond(1), uncounted: "successful" },
      (response) => {
        response.once("finish", () => {
          isFinished = true;
        });
        respond(response);
      },
    );
    const session = connect(`http://127.0.0.1:${port}`).on("error", () => {});
    request(session);
    await expect.poll(() => isFinished).toBe(true);
    await setImmediate();
    session.destroy();
    stop();
    return limiterOf(provider).get("127.0.0.1").total;
  }

  it("that the client has got settles its request", async () => {
    const all = (session: ClientHttp2Session) => session.request().resume();
    expect(await countedAfter((response) => response.end(), all)).toBe(0);
    expect(await countedAfter((response) => response.end(LARGE), all)).toBe(0);
  });

  it("that the client has reset leaves its request counted", async () => {
    let reset = () => {};
    const cancelled = (session: ClientHttp2Session) => {
      const stream = session.request().on("error", () => {});
      reset = () => stream.close(CANCEL);
    };
    expect(await countedAfter(() => reset(), cancelled)).toBe(1);
  });

  it("that the connection broke under leaves its request counted", async () => {
    const broken = (session: ClientHttp2Session) =>
      session
        .request()
        .on("error", () => {})
        .once("response", () => session.destroy());
    expect(await countedAfter((response) => response.end(LARGE), broken)).toBe(1);
  });
});
