// The same small service in every framework, each behind its adapter, on a port of loopback.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import express from "express";
import Fastify from "fastify";
import { Hono } from "hono";
import Koa from "koa";
import { rateLimit as expressLimit } from "trypema/express";
import { rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as fetchLimit } from "trypema/fetch";
import { rateLimit as honoLimit } from "trypema/hono";
import { type RateLimitOptions, reservationOf } from "trypema/http";
import { rateLimit as koaLimit } from "trypema/koa";
import { rateLimit as nodeLimit } from "trypema/node";

export interface Running {
  readonly port: number;
  /** How many requests have come as far as the handler. */
  readonly handled: () => number;
  readonly stop: () => Promise<void>;
}

export interface Page {
  readonly status: number;
  readonly chunks: readonly string[];
}

/** What all of them answer; `raw` is what the framework gives its handlers. */
async function pageOf(path: string, raw: object): Promise<Page> {
  if (path === "/fail") return { status: 500, chunks: ["failed\n"] };
  if (path === "/more") await reservationOf(raw).adjust(2);
  if (path === "/stream") return { status: 200, chunks: ["one\n", "two\n", "three\n"] };
  return { status: 200, chunks: ["hello\n"] };
}

/** Its types are those of 5 as far as this goes. */
const express4: typeof express = createRequire(import.meta.url)("express4");

const TEXT = { "content-type": "text/plain; charset=utf-8" };

type Start = (limits: RateLimitOptions, count: () => void) => Promise<Server> | Server;

async function sendNode(raw: object, path: string, response: ServerResponse, count: () => void): Promise<void> {
  count();
  const { status, chunks } = await pageOf(path, raw);
  response.writeHead(status, TEXT);
  for (const chunk of chunks) {
    response.write(chunk);
    await setImmediate();
  }
  response.end();
}

async function fetchResponse(raw: object, path: string, count: () => void): Promise<Response> {
  count();
  const { status, chunks } = await pageOf(path, raw);
  const body = new ReadableStream({
    async start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(new TextEncoder().encode(chunk));
        await setImmediate();
      }
      controller.close();
    },
  });
  return new Response(body, { status, headers: TEXT });
}

const starts: Record<string, Start> = {
  "Express 5"(limits, count) {
    const app = express();
    app.use(expressLimit(limits));
    app.use((request, response) => sendNode(request, request.path, response, count));
    return createServer(app);
  },

  "Express 4"(limits, count) {
    const app = express4();
    app.use(expressLimit(limits));
    app.use((request, response) => void sendNode(request, request.path, response, count));
    return createServer(app);
  },

  async Fastify(limits, count) {
    const app = Fastify();
    await app.register(fastifyLimit, limits as Parameters<typeof fastifyLimit>[1]);
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

  Hono(limits, count) {
    const app = new Hono<{ Bindings: HttpBindings }>();
    app.onError((_, context) => context.text("error\n", 500));
    app.use(honoLimit(limits));
    app.all("*", (context) => fetchResponse(context, context.req.path, count));
    return createAdaptorServer({ fetch: app.fetch }) as Server;
  },

  Koa(limits, count) {
    const app = new Koa();
    app.silent = true;
    app.use(koaLimit(limits));
    app.use((context) => {
      context.respond = false;
      return sendNode(context, context.path, context.res, count);
    });
    return createServer(app.callback());
  },

  "node:http"(limits, count) {
    const handler = (request: IncomingMessage, response: ServerResponse) =>
      sendNode(request, request.url!, response, count);
    return createServer(nodeLimit({ onError() {}, ...limits }, handler));
  },

  fetch(limits, count) {
    const peerAddress = (_: Request, { incoming }: HttpBindings) => incoming.socket.remoteAddress;
    const handler = fetchLimit({ ...limits, peerAddress }, (request: Request, _: HttpBindings) =>
      fetchResponse(request, new URL(request.url).pathname, count),
    );
    const fetch = (request: Request, env: unknown) =>
      handler(request, env as HttpBindings).catch(() => new Response("error\n", { status: 500 }));
    return createAdaptorServer({ fetch }) as Server;
  },
};

export const frameworks = Object.keys(starts);

export async function start(framework: string, limits: RateLimitOptions, listenOn?: string): Promise<Running> {
  let handled = 0;
  const server = await starts[framework]!(limits, () => handled++);
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
