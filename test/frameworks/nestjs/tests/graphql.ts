// The module before resolvers, with Apollo on Express and with Mercurius on Fastify.

import "reflect-metadata";
import { match } from "node:assert/strict";
import { once } from "node:events";
import { ApolloDriver, type ApolloDriverConfig } from "@nestjs/apollo";
import { APP_GUARD } from "@nestjs/core";
import { Args, GraphQLModule, Info, Int, Mutation, Query, Resolver, Subscription } from "@nestjs/graphql";
import { MercuriusDriver, type MercuriusDriverConfig } from "@nestjs/mercurius";
import { createLocalProvider, hours } from "trypema";
import {
  clientAddress,
  RateLimit,
  RateLimitCost,
  RateLimitGuard,
  RateLimits,
  requestOf,
  reservationOf,
  SkipRateLimit,
  TrypemaModule,
} from "trypema/nestjs";
import { WebSocket } from "ws";
import { GraphqlModule } from "../app/graphql.js";
import { PLATFORMS, type Served, same, serving, servingModule } from "./serve.js";

@Resolver()
class AppResolver {
  @Query(() => String)
  hello() {
    return "hello";
  }

  @Query(() => String)
  @RateLimitCost(({ raw }) => raw.getArgs()[1].count)
  many(@Args("count") count: number) {
    return "x".repeat(count);
  }

  @Query(() => String)
  @SkipRateLimit()
  free() {
    return "free";
  }

  @Query(() => String)
  async settled(@Info() info: object) {
    await reservationOf(info).adjust(4);
    return "settled";
  }

  @Subscription(() => Int)
  async *counted() {
    yield { counted: 1 };
    yield { counted: 2 };
  }

  @Mutation(() => String)
  @RateLimit({ name: "login", limit: 2, blockMs: hours(1) })
  login() {
    return "welcome";
  }
}

const drivers: Record<string, () => unknown> = {
  Express: () =>
    GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      autoSchemaFile: true,
      subscriptions: { "graphql-ws": true },
    }),
  Fastify: () =>
    GraphQLModule.forRoot<MercuriusDriverConfig>({ driver: MercuriusDriver, autoSchemaFile: true, subscription: true }),
};

const metadataFor = (platform: string, options: object) => ({
  imports: [
    TrypemaModule.forRoot({ provider: createLocalProvider({ clock: () => 0 }), limit: 10, ...options }),
    drivers[platform]!() as never,
  ],
  providers: [AppResolver, { provide: APP_GUARD, useExisting: RateLimitGuard }],
});

async function ask({ get }: Served, query: string, headers: Record<string, string> = {}) {
  const response = await get("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ query }),
  });
  const { data, errors } = (await response.json()) as {
    data: Record<string, string> | null;
    errors?: { message: string; path: string[]; extensions: Record<string, unknown> }[];
  };
  return { data, errors, response };
}

const ofPlatform: Record<string, (platform: string) => unknown> = {
  "a field that is denied is an error with a code and the wait, and the fields beside it are answered": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 10 }),
      async (served) => {
        const { data, errors } = await ask(served, "{ hello many(count: 10) free }").catch((error) => error);
        same([data, errors?.length], [null, 1]);
        same(errors![0]!.path, ["many"]);
        match(errors![0]!.message, /^Too many requests. Try again in 60 s.$/);
        const { extensions } = errors![0]!;
        same(
          [extensions.code, extensions.reason, extensions.limiter, extensions.retryAfterSeconds],
          ["TOO_MANY_REQUESTS", "quota-exceeded", "default", 60],
        );
        same(served.log.errors, []);
      },
      PLATFORMS[platform],
    ),

  "each field counts, so a hundred aliases are no way around a limit": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 100 }),
      async (served) => {
        const aliases = Array.from({ length: 3 }, (_, i) => `a${i}: login`).join(" ");
        const { errors } = await ask(served, `mutation { ${aliases} }`);
        same(
          errors!.map(({ path }) => path[0]),
          ["a2"],
        );
        same(errors![0]!.extensions.retryAfterSeconds, 3_600);
        // The default limiter admitted the two that the other one admitted, too.
        same(served.app.get(RateLimits).limiter().get("127.0.0.1"), {
          total: 2,
          declined: 0,
          accepted: 2,
          limit: 100,
          suppressionFactor: 0,
        });
      },
      PLATFORMS[platform],
    ),

  "fields that are resolved at the same time don't give back what others took": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 3 }),
      async (served) => {
        await ask(served, "{ a: hello b: hello c: hello d: hello e: many(count: 2) }");
        same((await ask(served, "{ hello }")).errors?.length, 1);
      },
      PLATFORMS[platform],
    ),

  "the response has the fields of the limits where there is one": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 10 }),
      async (served) => {
        const { response } = await ask(served, "{ hello }");
        same(response.headers.get("ratelimit"), '"default";r=9;t=60');
        match(response.headers.get("content-type")!, /json/);
        const denied = (await ask(served, "{ many(count: 20) }")).response;
        match(denied.headers.get("content-type")!, /^application\/(json|graphql-response\+json)/);
        same(denied.headers.get("retry-after"), null); // a cost that never fits
      },
      PLATFORMS[platform],
    ),

  "what clients write of their address means nothing unless a named proxy sends it": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 2, key: clientAddress({ proxies: ["192.0.2.0/24"] }) }),
      async (served) => {
        const answers = [];
        for (const address of ["203.0.113.1", "203.0.113.2", "203.0.113.3"]) {
          answers.push((await ask(served, "{ hello }", { "x-forwarded-for": address })).data?.hello);
        }
        same(answers, ["hello", "hello", undefined]);
      },
      PLATFORMS[platform],
    ),

  "behind a proxy that is named each client has a limit of its own, whatever it writes into the header": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 2, key: clientAddress({ proxies: ["loopback"] }) }),
      async (served) => {
        const answers = [];
        for (const forwarded of [
          "7.7.7.1, 203.0.113.1",
          "7.7.7.2, 203.0.113.1",
          "7.7.7.3, 203.0.113.1",
          "203.0.113.2",
        ]) {
          answers.push((await ask(served, "{ hello }", { "x-forwarded-for": forwarded })).data?.hello);
        }
        same(answers, ["hello", "hello", undefined, "hello"]);
      },
      PLATFORMS[platform],
    ),

  "a subscription counts for whom a named proxy says that it is for, and not for whom its client says": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 2, key: clientAddress({ proxies: ["loopback"] }) }),
      async (served) => {
        const forged = { headers: { "x-forwarded-for": "7.7.7.1" }, socket: { remoteAddress: "7.7.7.1" } };
        const params = { ...forged, req: forged, request: forged, extra: { request: forged }, raw: forged };
        const as = (address: string) =>
          subscribe(served, "graphql-transport-ws", 3, { "x-forwarded-for": `7.7.7.2, ${address}` }, params);
        same(await as("203.0.113.1"), [1, 1, 2, 2, "TOO_MANY_REQUESTS"]);
        same(await as("203.0.113.2"), [1, 1, 2, 2, "TOO_MANY_REQUESTS"]);
        const codes = await as("203.0.113.1");
        same(codes, ["TOO_MANY_REQUESTS", "TOO_MANY_REQUESTS", "TOO_MANY_REQUESTS"]);
        const limiter = served.app.get(RateLimits).limiter();
        const totals = [];
        for (const key of ["203.0.113.1", "203.0.113.2", "7.7.7.1", "7.7.7.2"])
          totals.push((await limiter.get(key)).total);
        same(totals, [2, 2, 0, 0]);
      },
      PLATFORMS[platform],
    ),

  "keys find the user of the operation, and a resolver can correct its cost": (platform) =>
    servingModule(
      metadataFor(platform, { limit: 5, key: ({ raw }: { raw: never }) => requestOf(raw).headers["x-user"] }),
      async (served) => {
        same((await ask(served, "{ settled }", { "x-user": "ann" })).data, { settled: "settled" });
        same((await ask(served, "{ hello }", { "x-user": "ann" })).errors?.length, 1);
        same((await ask(served, "{ hello }", { "x-user": "bob" })).data, { hello: "hello" });
        same((await ask(served, "{ hello }")).errors![0]!.extensions.code, "BAD_REQUEST");
      },
      PLATFORMS[platform],
    ),
};

/** What a client gets that subscribes: the values of each message, and the codes of errors. */
async function subscribe(
  { url }: Served,
  protocol: string,
  count: number,
  headers: Record<string, string> = {},
  params?: object,
): Promise<unknown[]> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/graphql`, protocol, { headers });
  await once(socket, "open");
  const isNew = protocol === "graphql-transport-ws";
  const got: unknown[] = [];
  let open = count;
  const done = new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      const { type, payload } = JSON.parse(String(data));
      if (type === "connection_ack") {
        for (let id = 0; id < count; id++) {
          const query = { query: "subscription { counted }" };
          socket.send(JSON.stringify({ id: `${id}`, type: isNew ? "subscribe" : "start", payload: query }));
        }
      }
      if (["next", "data"].includes(type)) got.push(payload.data?.counted ?? payload.errors[0].extensions.code);
      if (type === "error") {
        const [error] = [payload].flat();
        got.push(error.extensions?.code ?? error.message);
      }
      if (["complete", "error"].includes(type) && --open === 0) resolve();
    });
  });
  socket.send(JSON.stringify({ type: "connection_init", payload: params }));
  await done;
  socket.terminate();
  return got.sort();
}

export const promises: Record<string, () => unknown> = {
  "nestjs, GraphQL, Apollo: a subscription counts once, for the client that opened its socket": () =>
    servingModule(metadataFor("Express", { limit: 2 }), async (served) => {
      same(await subscribe(served, "graphql-transport-ws", 3), [1, 1, 2, 2, "TOO_MANY_REQUESTS"]);
      same((await ask(served, "{ hello }")).errors?.length, 1);
    }),

  "nestjs, GraphQL, Mercurius: a subscription counts once, for the client that opened its socket": () =>
    servingModule(
      metadataFor("Fastify", { limit: 2 }),
      async (served) => {
        same(await subscribe(served, "graphql-transport-ws", 3), [1, 1, 2, 2, "TOO_MANY_REQUESTS"]);
        same((await ask(served, "{ hello }")).errors?.length, 1);
      },
      PLATFORMS.Fastify,
    ),

  "nestjs, GraphQL: the recipe limits a mutation": () =>
    serving(GraphqlModule, async (served) => {
      same((await ask(served, "{ hello }")).data, { hello: "hello" });
      for (let i = 0; i < 2; i++) same((await ask(served, "mutation { login }")).data, { login: "welcome" });
      same((await ask(served, "mutation { login }")).errors![0]!.extensions.code, "TOO_MANY_REQUESTS");
    }),
};
for (const platform of Object.keys(drivers)) {
  for (const [promise, run] of Object.entries(ofPlatform)) {
    promises[`nestjs, GraphQL, ${platform === "Express" ? "Apollo" : "Mercurius"}: ${promise}`] = () => run(platform);
  }
}
