// What the types of keys promise. `tsc` checks this file: a line that is expected to be an error has to be one.

import type { Request } from "express";
import Fastify, { type FastifyRequest } from "fastify";
import type { Context } from "hono";
import { createLocalProvider, perMinute } from "trypema";
import { rateLimit as expressLimit } from "trypema/express";
import { rateLimit as fastifyLimit } from "trypema/fastify";
import { rateLimit as honoLimit } from "trypema/hono";
import { clientAddress, combined, Guard, type Key, requestHeader } from "trypema/http";
import { expect, it } from "vitest";

const limits = { provider: createLocalProvider(), rate: perMinute(5) };

it("a combined key knows the framework's request by where it stands", () => {
  const first = clientAddress();
  expressLimit({ ...limits, key: combined(first, ({ raw }) => raw.body?.user, requestHeader("x-tenant")) });
  const key: Key<Request> = combined(first, ({ raw }) => raw.body?.user);
  // @ts-expect-error: an Express request has no such property
  const wrong: Key<Request> = combined(first, ({ raw }) => raw.bdy);
  for (const each of [key, wrong]) expect(new Guard<Request>({ ...limits, key: each })).toBeDefined();
});

it("a combined key is told the request of Hono and Fastify, and is for no other", async () => {
  const ofHono = combined<Context>(clientAddress(), ({ raw }) => raw.req.param("user"));
  expect(honoLimit({ ...limits, key: ofHono })).toBeTypeOf("function");
  // @ts-expect-error: the key is for Hono
  expect(expressLimit({ ...limits, key: ofHono })).toBeTypeOf("function");
  const key = combined<FastifyRequest>(clientAddress(), ({ raw }) => raw.routeOptions.url);
  await Fastify().register(fastifyLimit, { ...limits, key });
  const annotated = (({ raw }) => raw.body?.user) satisfies Key<Request>;
  expect(expressLimit({ ...limits, key: combined(clientAddress(), annotated) })).toBeTypeOf("function");
});
