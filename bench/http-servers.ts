// The servers that bench:http compares: every framework bare, with trypema, and with the limiter that its users have
// today. Each server runs in a process of its own: `node http-servers.js <framework> <side>`.

import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import fastifyPeer from "@fastify/rate-limit";
import { createAdaptorServer, type HttpBindings } from "@hono/node-server";
import express from "express";
import { rateLimit as expressPeer } from "express-rate-limit";
import Fastify from "fastify";
import { Hono } from "hono";
import { rateLimiter as honoPeer } from "hono-rate-limiter";
import Koa from "koa";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit as expressLimit } from "trypema/express";
import { rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as fetchLimit } from "trypema/fetch";
import { rateLimit as honoLimit } from "trypema/hono";
import { rateLimit as koaLimit } from "trypema/koa";
import { rateLimit as nodeLimit } from "trypema/node";

/** `fields` limits nothing, but sends the header fields that a limiter does: the least that telling clients costs. */
export type Side = "bare" | "fields" | "trypema" | "peer";

/** Nobody reaches it. */
const LIMIT = 1e9;
const WINDOW_MS = 60_000;
const BODY = "hello\n";

const FIELDS = { "ratelimit-policy": '"default";q=1000000000;w=60', ratelimit: '"default";r=999999999;t=60' };

function setFields(message: { setHeader(name: string, value: string): unknown }): void {
  for (const [name, value] of Object.entries(FIELDS)) message.setHeader(name, value);
}

const limits = () => ({ provider: createLocalProvider({ windowMs: WINDOW_MS }), rate: perMinute(LIMIT) });

type Make = (side: Side) => Server | Promise<Server>;

export const frameworks: Record<string, { readonly peer?: string; readonly make: Make }> = {
  Express: {
    peer: "express-rate-limit",
    make(side) {
      const app = express();
      if (side === "trypema") app.use(expressLimit(limits()));
      if (side === "fields") {
        app.use((_, response, next) => {
          setFields(response);
          next();
        });
      }
      const peer = { windowMs: WINDOW_MS, limit: LIMIT, standardHeaders: "draft-8", legacyHeaders: false } as const;
      if (side === "peer") app.use(expressPeer(peer));
      app.get("/", (_, response) => void response.send(BODY));
      return createServer(app as RequestListener);
    },
  },
  Fastify: {
    peer: "@fastify/rate-limit",
    async make(side) {
      const app = Fastify();
      if (side === "trypema") await app.register(fastifyLimit, limits());
      if (side === "fields") {
        app.addHook("onRequest", (_, reply, done) => {
          reply.headers(FIELDS);
          done();
        });
      }
      if (side === "peer") await app.register(fastifyPeer, { max: LIMIT, timeWindow: WINDOW_MS });
      app.get("/", (_, reply) => reply.send(BODY));
      await app.ready();
      return app.server;
    },
  },
  Hono: {
    peer: "hono-rate-limiter",
    make(side) {
      const app = new Hono<{ Bindings: HttpBindings }>();
      if (side === "trypema") app.use(honoLimit(limits()));
      if (side === "fields") {
        app.use(async (context, next) => {
          await next();
          for (const [name, value] of Object.entries(FIELDS)) context.res.headers.set(name, value);
        });
      }
      const keyGenerator = ({ env }: { env: HttpBindings }) => env.incoming.socket.remoteAddress ?? "";
      const peer = { windowMs: WINDOW_MS, limit: LIMIT, standardHeaders: "draft-7", keyGenerator } as const;
      if (side === "peer") app.use(honoPeer<{ Bindings: HttpBindings }>(peer));
      app.get("/", (context) => context.text(BODY));
      return createAdaptorServer({ fetch: app.fetch }) as Server;
    },
  },
  Koa: {
    make(side) {
      const app = new Koa();
      if (side === "trypema") app.use(koaLimit(limits()));
      if (side === "fields") {
        app.use((context, next) => {
          setFields(context.res);
          return next();
        });
      }
      app.use((context) => {
        context.body = BODY;
      });
      return createServer(app.callback());
    },
  },
  "node:http": {
    make(side) {
      const handler: RequestListener = (_, response) => {
        if (side === "fields") setFields(response);
        response.end(BODY);
      };
      return createServer(side === "trypema" ? nodeLimit(limits(), handler) : handler);
    },
  },
  fetch: {
    make(side) {
      const handler = () => {
        const response = new Response(BODY);
        if (side !== "fields") return response;
        for (const [name, value] of Object.entries(FIELDS)) response.headers.set(name, value);
        return response;
      };
      const peerAddress = (_: Request, { incoming }: HttpBindings) => incoming.socket.remoteAddress;
      const limited = fetchLimit({ ...limits(), peerAddress }, handler);
      const fetch = (request: Request, env: unknown) => limited(request, env as HttpBindings);
      return createAdaptorServer({ fetch: side === "trypema" ? fetch : handler }) as Server;
    },
  },
};

/** Tells the parent its port, and whenever it is asked how much processor time it has used, in microseconds. */
async function serve(framework: string, side: Side): Promise<void> {
  const server = await frameworks[framework]!.make(side);
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send!(user + system);
  });
  process.on("disconnect", () => process.exit());
}

if (process.send !== undefined) await serve(process.argv[2]!, process.argv[3] as Side);
