// The same small service in every framework, each behind its adapter, on a port of loopback.

import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import express from "express";
import Fastify from "fastify";
import { type Context, Hono } from "hono";
import Koa from "koa";
import { type DenialHandler as ExpressDenialHandler, rateLimit as expressLimit } from "trypema/express";
import { type DenialHandler as FastifyDenialHandler, rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as fetchLimit } from "trypema/fetch";
import { rateLimit as honoLimit } from "trypema/hono";
import { type Denial, type RateLimitOptions, reservationOf } from "trypema/http";
import { type DenialHandler as KoaDenialHandler, rateLimit as koaLimit } from "trypema/koa";
import { type DenialHandler as NodeDenialHandler, type NodeHandler, rateLimit as nodeLimit } from "trypema/node";

export interface Running {
  readonly port: number;
  /** How many requests have come as far as the handler. */
  readonly handled: () => number;
  readonly stop: () => Promise<void>;
}

export interface Page {
  readonly status: number;
  readonly chunks: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
}

/** What `/throw` fails with, in the form that Express, Fastify and Koa understand. */
class Unauthorized extends Error {
  readonly status = 401;
  readonly statusCode = 401;
}

/** The fields of a service that the handler passes on what it says of. */
export const UPSTREAM = { ratelimit: '"upstream";r=1;t=2', "retry-after": "77" };

/** What all of them answer; `raw` is what the framework gives its handlers. */
async function pageOf(path: string, raw: object): Promise<Page> {
  if (path === "/fail") return { status: 500, chunks: ["failed\n"] };
  if (path === "/upstream") return { status: 503, chunks: ["busy\n"], headers: UPSTREAM };
  if (path === "/more") await reservationOf(raw).adjust(2);
  if (path === "/stream") return { status: 200, chunks: ["one\n", "two\n", "three\n"] };
  return { status: 200, chunks: ["hello\n"] };
}

/** Its types are those of 5 as far as this goes. */
const express4: typeof express = createRequire(import.meta.url)("express4");

const TEXT = { "content-type": "text/plain; charset=utf-8" };

/** How a framework's own handler answers a denied request, if the test has one. */
export type OnDenial = (denial: Denial) => Page | undefined;

/** Limiters are stacked in their order. */
type Start = (
  limits: readonly RateLimitOptions[],
  count: () => void,
  onDenial: OnDenial | undefined,
) => Promise<Server> | Server;

async function sendNode(raw: object, path: string, response: ServerResponse, count: () => void): Promise<void> {
  count();
  const { status, chunks, headers } = await pageOf(path, raw);
  response.writeHead(status, { ...TEXT, ...headers });
  for (const chunk of chunks) {
    response.write(chunk);
    await setImmediate();
  }
  response.end();
}

async function fetchResponse(raw: object, path: string, count: () => void): Promise<Response> {
  count();
  const { status, chunks, headers } = await pageOf(path, raw);
  const body = new ReadableStream({
    async start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(new TextEncoder().encode(chunk));
        await setImmediate();
      }
      controller.close();
    },
  });
  return new Response(body, { status, headers: { ...TEXT, ...headers } });
}

const starts: Record<string, Start> = {
  "Express 5"(limits, count, onDenial) {
    const app = express();
    app.set("env", "test");
    const handler: ExpressDenialHandler = (_, response, next, denial) => {
      const page = onDenial!(denial);
      if (page === undefined) return next(new Unauthorized("denied"));
      return response.set(page.headers ?? {}).send(page.chunks.join(""));
    };
    for (const each of limits)
      app.use(expressLimit({ ...each, ...(onDenial && { handler }) } as Parameters<typeof expressLimit>[0]));
    app.get("/throw", fail);
    app.use((request, response) => sendNode(request, request.path, response, count));
    return createServer(app);
  },

  "Express 4"(limits, count, onDenial) {
    const app = express4();
    app.set("env", "test");
    const handler: ExpressDenialHandler = (_, response, next, denial) => {
      const page = onDenial!(denial);
      if (page === undefined) return next(new Unauthorized("denied"));
      return response.set(page.headers ?? {}).send(page.chunks.join(""));
    };
    for (const each of limits)
      app.use(expressLimit({ ...each, ...(onDenial && { handler }) } as Parameters<typeof expressLimit>[0]));
    app.get("/throw", fail);
    app.use((request, response) => void sendNode(request, request.path, response, count));
    return createServer(app);
  },

  async Fastify(limits, count, onDenial) {
    const app = Fastify();
    const handler: FastifyDenialHandler = async (_, reply, denial) => {
      const { headers = {}, chunks } = onDenial!(denial) ?? fail();
      reply.headers(headers);
      return chunks.join("");
    };
    for (const each of limits) {
      await app.register(fastifyLimit, { ...each, ...(onDenial && { handler }) } as Parameters<typeof fastifyLimit>[1]);
    }
    app.get("/throw", fail);
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (_, payload, done) => {
      payload.resume();
      done(null);
    });
    app.all("/*", (request, reply) => {
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value!);
      return sendNode(request, request.url, reply.raw, count);
    });
    await app.ready();
    return app.server;
  },

  Hono(limits, count, onDenial) {
    const app = new Hono<{ Bindings: HttpBindings }>();
    app.onError((error, context) => context.text("error\n", error instanceof Unauthorized ? 401 : 500));
    const handler = (context: Context, denial: Denial) => {
      const { headers = {}, chunks } = onDenial!(denial) ?? fail();
      return context.body(chunks.join(""), { headers });
    };
    for (const each of limits)
      app.use(honoLimit({ ...each, ...(onDenial && { handler }) } as Parameters<typeof honoLimit>[0]));
    app.get("/throw", fail);
    app.all("*", (context) => fetchResponse(context, context.req.path, count));
    return createAdaptorServer({ fetch: app.fetch }) as Server;
  },

  Koa(limits, count, onDenial) {
    const app = new Koa();
    app.silent = true;
    const handler: KoaDenialHandler = async (context, denial) => {
      const { headers = {}, chunks } = onDenial!(denial) ?? fail();
      context.set(headers);
      context.body = chunks.join("");
    };
    for (const each of limits)
      app.use(koaLimit({ ...each, ...(onDenial && { handler }) } as Parameters<typeof koaLimit>[0]));
    app.use((context) => {
      if (context.path === "/throw") fail();
      context.respond = false;
      return sendNode(context, context.path, context.res, count);
    });
    return createServer(app.callback());
  },

  "node:http"(limits, count, onDenial) {
    const denialHandler: NodeDenialHandler = async (_, response, denial) => {
      const { headers = {}, chunks } = onDenial!(denial) ?? fail();
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      response.end(chunks.join(""));
    };
    const options = { onError() {}, ...(onDenial && { handler: denialHandler }) };
    const handler: NodeHandler = (request, response) => {
      if (request.url === "/throw") response.statusCode = 401;
      return request.url === "/throw" ? response.end() : sendNode(request, request.url!, response, count);
    };
    return createServer(
      limits.reduceRight(
        (inner, each) => nodeLimit({ ...options, ...each } as Parameters<typeof nodeLimit>[0], inner),
        handler,
      ),
    );
  },

  fetch(limits, count, onDenial) {
    const peerAddress = (_: Request, { incoming }: HttpBindings) => incoming.socket.remoteAddress;
    const handler = (request: Request, _: HttpBindings) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/throw") throw new Response("error\n", { status: 401 });
      return fetchResponse(request, pathname, count);
    };
    const denialHandler = (_: Request, denial: Denial) => {
      const { headers = {}, chunks } = onDenial!(denial) ?? fail();
      return new Response(chunks.join(""), { status: denial.status, headers });
    };
    const options = { peerAddress, ...(onDenial && { handler: denialHandler }) };
    const limited = limits.reduceRight(
      (inner, each) => fetchLimit({ ...each, ...options } as typeof each & typeof options, inner),
      handler,
    );
    const fetch = async (request: Request, env: unknown) => {
      try {
        return await limited(request, env as HttpBindings);
      } catch (thrown) {
        if (thrown instanceof Response) return thrown;
        return new Response("error\n", { status: thrown instanceof Unauthorized ? 401 : 500 });
      }
    };
    return createAdaptorServer({ fetch }) as Server;
  },
};

function fail(): never {
  throw new Unauthorized("unauthorized");
}

export const frameworks = Object.keys(starts);

export async function start(
  framework: string,
  limits: RateLimitOptions | readonly RateLimitOptions[],
  listenOn?: string,
  onDenial?: OnDenial,
): Promise<Running> {
  let handled = 0;
  const server = await starts[framework]!([limits].flat(), () => handled++, onDenial);
  if (listenOn === undefined) server.listen(0, "127.0.0.1");
  else server.listen(listenOn);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    handled: () => handled,
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
