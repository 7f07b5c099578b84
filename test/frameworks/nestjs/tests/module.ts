// What the module gives to an application and to its tests, and what it does when the application ends.

import "reflect-metadata";
import { rejects, throws } from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Controller, Get, Inject, Injectable, Module, type Type, UseGuards } from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { Redis } from "ioredis";
import { createLocalProvider, hours, minutes, type Provider } from "trypema";
import {
  RateLimit,
  RateLimitGuard,
  RateLimits,
  TRYPEMA_PROVIDER,
  TrypemaModule,
  type TrypemaOptionsFactory,
} from "trypema/nestjs";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { AppModule } from "../app/app.js";
import { UsersModule } from "../app/users.js";
import { same, serving, servingModule } from "./serve.js";

const GLOBAL = { provide: APP_GUARD, useExisting: RateLimitGuard };

@Controller()
class App {
  @Get()
  get() {}

  @RateLimit({ name: "login", limit: 1, windowMs: minutes(1), blockMs: hours(1) })
  @Get("login")
  login() {}
}

/** A provider that tells how often it was closed. */
function closable(): { provider: Provider; closed: () => number } {
  const provider = createLocalProvider();
  let closed = 0;
  const close = provider.close.bind(provider);
  provider.close = () => {
    closed++;
    return close();
  };
  return { provider, closed: () => closed };
}

@Injectable()
class Options implements TrypemaOptionsFactory {
  async createTrypemaOptions() {
    return { limit: 1 };
  }
}

@Module({ providers: [Options], exports: [Options] })
class OptionsModule {}

const same429 = [200, 429];

export const promises: Record<string, () => unknown> = {
  "nestjs: options may come from a factory, a class, or something that there is": async () => {
    const ways = [
      { imports: [OptionsModule], inject: [Options], useFactory: (options: Options) => options.createTrypemaOptions() },
      { useClass: Options },
      { imports: [OptionsModule], useExisting: Options },
    ];
    for (const way of ways) {
      const metadata = { imports: [TrypemaModule.forRootAsync(way)], controllers: [App], providers: [GLOBAL] };
      await servingModule(metadata, async ({ statuses }) => same(await statuses("/", 2), same429));
    }
  },

  "nestjs: without limits in the module only decorators limit": () =>
    servingModule(
      { imports: [TrypemaModule.forRoot()], controllers: [App], providers: [GLOBAL] },
      async ({ statuses, get }) => {
        same((await get("/")).headers.get("ratelimit"), null);
        same(await statuses("/login", 2), same429);
      },
    ),

  "nestjs: a service has the provider and the limiters of the module and of decorators": async () => {
    @Injectable()
    class Support {
      constructor(
        readonly limits: RateLimits,
        @Inject(TRYPEMA_PROVIDER) readonly provider: Provider,
      ) {}
    }
    const provider = createLocalProvider();
    const metadata = {
      imports: [TrypemaModule.forRoot({ provider, limit: 5 })],
      controllers: [App],
      providers: [GLOBAL, Support],
    };
    await servingModule(metadata, async ({ app, statuses }) => {
      const { limits, provider: injected } = app.get(Support);
      same([injected === provider, limits.provider === provider], [true, true]);
      same(await statuses("/login", 2), same429);
      await limits.limiter("login", App, "login").unblock("127.0.0.1");
      await limits.limiter("login", App, "login").delete("127.0.0.1");
      same(await statuses("/login", 2), same429);
      same((await limits.limiter().get("127.0.0.1")).total, 2);
      const unknown = { code: "INVALID_OPTION" };
      throws(() => limits.limiter("login"), unknown);
      throws(() => limits.limiter("login", App), unknown);
      throws(() => limits.limiter("login", App, "logout"), unknown);
      throws(() => limits.limiter("other", App, "login"), unknown);
    });
  },

  "nestjs: a test overrides the provider, and moves its clock": async () => {
    const clock = manualClock();
    const other = closable();
    await servingModule(
      { imports: [AppModule] },
      async ({ statuses }) => {
        same((await statuses("/", 61)).at(-1), 429);
        clock.advance(minutes(2));
        same(await statuses("/", 1), [200]);
      },
      undefined,
      (builder) => builder.overrideProvider(TRYPEMA_PROVIDER).useValue(createLocalProvider({ clock })),
    );
    await servingModule(
      { imports: [AppModule] },
      () => undefined,
      undefined,
      (builder) => builder.overrideProvider(TRYPEMA_PROVIDER).useValue(other.provider),
    );
    same(other.closed(), 0);
  },

  "nestjs: a test overrides the guard, whether it is global or stands on a controller": async () => {
    const open = { canActivate: () => true };
    await servingModule(
      { imports: [AppModule] },
      async ({ statuses }) => same(new Set(await statuses("/login", 8, { method: "POST" })), new Set([201])),
      undefined,
      (builder) => builder.overrideProvider(RateLimitGuard).useValue(open),
    );
    @Controller()
    @UseGuards(RateLimitGuard)
    class Guarded extends App {}
    await servingModule(
      { imports: [TrypemaModule.forRoot({ limit: 1 })], controllers: [Guarded] as Type[] },
      async ({ statuses }) => same(await statuses("/", 3), [200, 200, 200]),
      undefined,
      (builder) => builder.overrideGuard(RateLimitGuard).useValue(open),
    );
  },

  "nestjs: closing the application closes the provider that the module made, and no other": async () => {
    let ownClosed = 0;
    const own = { imports: [TrypemaModule.forRoot({ limit: 1 })], controllers: [App], providers: [GLOBAL] };
    await servingModule(own, async ({ app, statuses }) => {
      const made: Provider = app.get(TRYPEMA_PROVIDER);
      const close = made.close.bind(made);
      made.close = () => {
        ownClosed++;
        return close();
      };
      same(await statuses("/", 2), same429);
      same(ownClosed, 0);
    });
    same(ownClosed, 1);
    const { provider, closed } = closable();
    await servingModule(
      { imports: [TrypemaModule.forRoot({ provider, limit: 1 })], controllers: [App], providers: [GLOBAL] },
      async ({ statuses }) => same(await statuses("/", 2), same429),
    );
    same(closed(), 0);
  },

  "nestjs: one module may be imported in many places, but options may be given once": async () => {
    const once = TrypemaModule.forRoot({ limit: 2 });
    @Module({ imports: [once], controllers: [App] })
    class Feature {}
    await servingModule({ imports: [once, Feature], providers: [GLOBAL] }, async ({ statuses }) => {
      same(await statuses("/", 3), [200, 200, 429]);
    });
    @Module({ imports: [TrypemaModule.forRoot({ limit: 3 })], controllers: [App] })
    class Other {}
    const twice = servingModule({ imports: [once, Other], providers: [GLOBAL] }, () => undefined);
    await rejects(twice, { code: "INVALID_OPTION", message: /forRoot was called more than once/ });
  },

  "nestjs: wrong options stop the start": async () => {
    const starting = (options: object) =>
      servingModule({ imports: [TrypemaModule.forRoot(options as never)] }, () => undefined);
    for (const options of [
      { limit: 0 },
      { limit: 5, windowMs: -1 },
      { limiters: [{ limit: 1 }, { limit: 2 }] },
      { limit: 5, limiters: [] },
      { limit: 5, headers: "x" },
      { respond: () => ({}) },
      { limt: 5 },
      { provider: {}, limit: 5 },
    ]) {
      await rejects(starting(options), { name: "TrypemaError" }, JSON.stringify(options));
    }
  },

  "nestjs: over Hybrid applications share their limits, and close what is theirs": async () => {
    const ann = { headers: { "x-user": "ann" } };
    const forget = { ...ann, method: "DELETE" };
    await serving(UsersModule, async (first) => {
      await serving(UsersModule, async (second) => {
        same((await first.get("/users/ann/usage", forget)).status, 200);
        for (const served of [first, second]) same(await (await served.get("/users/answer", ann)).text(), "answer");
        // Twice a hundred, and this request.
        same(Number(await (await first.get("/users/ann/usage", ann)).text()), 201);
        await second.get("/users/ann/usage", forget);
        same(Number(await (await second.get("/users/ann/usage", ann)).text()), 1);
      });
    });
  },

  "nestjs: over Redis applications share a limit exactly, also in a crowd": async () => {
    const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
    const provider = createRedisProvider(client, { prefix: randomUUID() });
    const metadata = () => ({
      imports: [
        TrypemaModule.forRoot({
          provider,
          limiters: [
            { name: "a", limit: 7 },
            { name: "b", limit: 20 },
          ],
        }),
      ],
      controllers: [App],
      providers: [GLOBAL],
    });
    await servingModule(metadata(), (first) =>
      servingModule(metadata(), async (second) => {
        const answers = await Promise.all([...Array(20)].map((_, i) => [first, second][i % 2]!.get("/")));
        same(answers.filter(({ status }) => status === 200).length, 7);
        same((await first.app.get(RateLimits).limiter("b").get("127.0.0.1")).total, 7);
      }),
    );
    await provider.close();
    client.disconnect();
  },

  "nestjs: while Redis is away each limiter's policy decides": async () => {
    const client = new Redis("redis://127.0.0.1:1", { lazyConnect: true, retryStrategy: () => null });
    client.on("error", () => undefined);
    const provider = createRedisProvider(client);
    for (const [onBackendFailure, expected] of [
      ["allow", [200, 200]],
      ["deny", [503, 503]],
      ["local", [200, 429]],
    ] as const) {
      const imports = [TrypemaModule.forRoot({ provider, limit: 1, onBackendFailure })];
      await servingModule({ imports, controllers: [App], providers: [GLOBAL] }, async ({ statuses }) =>
        same(await statuses("/", 2), expected),
      );
    }
    await provider.close();
    client.disconnect();
  },
};
