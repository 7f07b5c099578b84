// The module over HTTP, on both platforms.

import "reflect-metadata";
import { match, rejects } from "node:assert/strict";
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpCode,
  NotFoundException,
  Post,
  Req,
  UseFilters,
  UseGuards,
} from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { createLocalProvider, hours, minutes, seconds } from "trypema";
import {
  clientAddress,
  RateLimit,
  RateLimitCost,
  RateLimitException,
  RateLimitGuard,
  RateLimits,
  requestOf,
  reservationOf,
  SkipRateLimit,
  TrypemaModule,
  type TrypemaModuleOptions,
} from "trypema/nestjs";
import { AppModule } from "../app/app.js";
import { PLATFORMS, same, serving, servingModule } from "./serve.js";

const GLOBAL = { provide: APP_GUARD, useExisting: RateLimitGuard };
const frozen = () => createLocalProvider({ clock: () => 0 });

function withLimits(options: TrypemaModuleOptions, ...controllers: (new () => object)[]) {
  return { imports: [TrypemaModule.forRoot(options)], controllers, providers: [GLOBAL] };
}

@Controller()
class Plain {
  @Get("a")
  a() {
    return "a";
  }

  @Get("b")
  b() {
    return "b";
  }
}

@Catch(RateLimitException)
class OwnWords implements ExceptionFilter {
  catch({ denial, message }: RateLimitException, host: ArgumentsHost) {
    const response = host.switchToHttp().getResponse();
    response.status(418).header("content-type", "text/plain").send(`${denial.limiter}: ${message}`);
  }
}

@Controller("filtered")
@UseFilters(OwnWords)
class Filtered {
  @Get()
  get() {
    return "";
  }
}

@UseGuards(RateLimitGuard)
@RateLimit({ name: "controller", limit: 3 })
@Controller("layers")
class Layers {
  @Get("plain")
  plain() {}

  @UseGuards(RateLimitGuard)
  @RateLimit({ name: "handler", limit: 2 })
  @Get("own")
  own() {}

  @RateLimit({ name: "controller", limit: 1 })
  @Get("replaced")
  replaced() {}

  @SkipRateLimit()
  @RateLimit({ name: "handler", limit: 2 })
  @Get("only")
  only() {}
}

@SkipRateLimit()
@Controller("skipped")
class Skipped {
  @Get("free")
  free() {}

  @SkipRateLimit(false)
  @Get("back")
  back() {}

  @SkipRateLimit({ burst: false })
  @Get("burst")
  burst() {}

  @RateLimit({ name: "burst", limit: 1 })
  @Get("own")
  own() {}
}

@Controller("costs")
class Costs {
  @RateLimitCost(10)
  @Get("ten")
  ten() {}

  @RateLimitCost({ day: async ({ header }) => Number(header("x-cost")) })
  @Get("asked")
  asked() {}

  @RateLimitCost(0)
  @Get("free")
  free() {}

  @Get("settled")
  async settled(@Req() request: object) {
    await reservationOf(request).adjust(4, "day");
  }
}

@Controller("failing")
class Failing {
  @Get("missing")
  missing() {
    throw new NotFoundException();
  }

  @Post("fine")
  @HttpCode(200)
  fine() {}
}

const remaining = (response: Response) => /r=(\d+)/.exec(response.headers.get("ratelimit") ?? "")?.[1];
const from = (address: string) => ({ headers: { "x-forwarded-for": address } });

const ofPlatform: Record<string, (platform: string) => unknown> = {
  "the recipe limits, skips, and charges what it says": (platform) =>
    serving(
      AppModule,
      async ({ get, statuses }) => {
        const first = await get("/");
        same([first.status, await first.text()], [200, "hello"]);
        same(first.headers.get("ratelimit-policy"), '"default";q=60;w=60');
        same(remaining(first), "59");
        same(remaining(await get("/report")), "49");
        same(await statuses("/login", 6, { method: "POST" }), [201, 201, 201, 201, 201, 429]);
        const blocked = await get("/login", { method: "POST" });
        same(blocked.headers.get("retry-after"), "3600");
        same((await get("/health")).headers.get("ratelimit"), null);
      },
      PLATFORMS[platform],
    ),

  "a denied request gets a problem, with the fields and the status of the other adapters": (platform) =>
    servingModule(
      withLimits({ provider: frozen(), name: "api", limit: 1, windowMs: seconds(10) }, Plain),
      async ({ get, log }) => {
        await get("/a");
        const denied = await get("/b", { headers: { accept: "text/plain" } });
        same(denied.status, 429);
        same(denied.headers.get("retry-after"), "10");
        same(denied.headers.get("ratelimit"), '"api";r=0;t=10');
        match(denied.headers.get("content-type")!, /^application\/json/);
        same(await denied.json(), {
          type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
          title: "Too many requests",
          status: 429,
          detail: "Too many requests. Try again in 10 s.",
          "violated-policies": ["api"],
        });
        same(log.errors, []);
      },
      PLATFORMS[platform],
    ),

  "an exception filter answers in its own words": (platform) =>
    servingModule(
      withLimits({ provider: frozen(), limit: 1, windowMs: seconds(10) }, Filtered),
      async ({ get }) => {
        await get("/filtered");
        const denied = await get("/filtered");
        same([denied.status, await denied.text()], [418, "default: Too many requests. Try again in 10 s."]);
        same(denied.headers.get("retry-after"), "10");
      },
      PLATFORMS[platform],
    ),

  "a request is counted once, though guards stand before the application, the controller and the handler": (platform) =>
    servingModule(
      withLimits({ provider: frozen(), limit: 100 }, Layers),
      async ({ get }) => {
        const { headers } = await get("/layers/own");
        same(headers.get("ratelimit"), '"default";r=99;t=60, "controller";r=2;t=60, "handler";r=1;t=60');
      },
      PLATFORMS[platform],
    ),

  "a limiter of another name is added, one of the same name replaces and counts apart, and all are asked as one": (
    platform,
  ) =>
    servingModule(
      withLimits({ provider: frozen(), limit: 100 }, Layers, Plain),
      async ({ get, statuses }) => {
        same(await statuses("/layers/own", 4), [200, 200, 429, 429]);
        // The two that were denied have used up nothing of the controller's three.
        same(await statuses("/layers/plain", 2), [200, 429]);
        same(await statuses("/layers/replaced", 2), [200, 429]);
        same((await get("/layers/only")).headers.get("ratelimit"), '"handler";r=1;t=60');
        same(remaining(await get("/a")), "95");
      },
      PLATFORMS[platform],
    ),

  "a handler takes back what its controller has skipped": (platform) =>
    servingModule(
      withLimits(
        {
          provider: frozen(),
          limiters: [
            { name: "burst", limit: 5 },
            { name: "day", limit: 50, windowMs: hours(24) },
          ],
        },
        Skipped,
        Plain,
      ),
      async ({ get, statuses }) => {
        same((await get("/skipped/free")).headers.get("ratelimit"), null);
        same((await get("/skipped/back")).headers.get("ratelimit"), '"burst";r=4;t=60, "day";r=49;t=86400');
        same((await get("/skipped/burst")).headers.get("ratelimit"), '"burst";r=3;t=60');
        same(await statuses("/skipped/own", 2), [200, 429]);
        same((await get("/a")).headers.get("ratelimit"), '"burst";r=2;t=60, "day";r=48;t=86400');
      },
      PLATFORMS[platform],
    ),

  "a call costs what its decorator says, and a handler can correct it": (platform) =>
    servingModule(
      withLimits(
        {
          provider: frozen(),
          limiters: [
            { name: "burst", limit: 50 },
            { name: "day", limit: 100 },
          ],
        },
        Costs,
      ),
      async ({ get, app }) => {
        const left = async (path: string, init?: RequestInit) => (await get(path, init)).headers.get("ratelimit");
        same(await left("/costs/ten"), '"burst";r=40;t=60, "day";r=90;t=60');
        same(await left("/costs/asked", { headers: { "x-cost": "20" } }), '"burst";r=39;t=60, "day";r=70;t=60');
        same(await left("/costs/free"), null);
        await get("/costs/settled");
        same((await app.get(RateLimits).limiter("day").get("127.0.0.1"))?.total, 35);
      },
      PLATFORMS[platform],
    ),

  "a response that isn't to be counted is given back": (platform) =>
    servingModule(
      withLimits({ provider: frozen(), limit: 2, uncounted: "failed" }, Failing),
      async ({ statuses }) => {
        same(await statuses("/failing/missing", 4), [404, 404, 404, 404]);
        same(await statuses("/failing/fine", 3, { method: "POST" }), [200, 200, 429]);
      },
      PLATFORMS[platform],
    ),

  "headers of proxies mean nothing until the proxies are named": (platform) =>
    servingModule(
      withLimits({ provider: frozen(), limit: 1, onNotice: false }, Plain),
      async ({ get }) => {
        same((await get("/a", from("203.0.113.1"))).status, 200);
        same((await get("/a", from("203.0.113.2"))).status, 429);
      },
      PLATFORMS[platform],
    ),

  "behind a proxy that is named each client has a limit of its own": (platform) =>
    servingModule(
      withLimits({ provider: frozen(), limit: 1, key: clientAddress({ proxies: 1 }) }, Plain),
      async ({ get }) => {
        same((await get("/a", from("203.0.113.1"))).status, 200);
        same((await get("/a", from("203.0.113.2"))).status, 200);
        same((await get("/a", from("198.51.100.9, 203.0.113.1"))).status, 429);
      },
      PLATFORMS[platform],
    ),

  "a proxy that the limiters weren't told of is noticed, once for each limiter": (platform) => {
    const notices: string[] = [];
    const onNotice = ({ code, limiter }: { code: string; limiter: string }) => notices.push(`${code} ${limiter}`);
    return servingModule(
      withLimits({ provider: frozen(), limit: 100, onNotice }, Plain, Layers),
      async ({ get, app }) => {
        await get("/a");
        await get("/layers/own");
        same(notices, []);
        if (platform === "Express") app.getHttpAdapter().getInstance().set("trust proxy", 1);
        const init = platform === "Express" ? {} : from("203.0.113.1");
        await get("/a", init);
        await get("/layers/own", init);
        await get("/layers/plain", init);
        same(notices, ["PROXY_UNNAMED default", "PROXY_UNNAMED controller", "PROXY_UNNAMED handler"]);
      },
      PLATFORMS[platform],
    );
  },

  "a key may be found later, and nobody is left without a limit because of what a client sends": (platform) =>
    servingModule(
      withLimits(
        {
          provider: frozen(),
          limit: 1,
          key: async ({ raw }) => {
            await undefined;
            return requestOf(raw).headers["x-user"];
          },
        },
        Plain,
      ),
      async ({ statuses }) => {
        const user = (name: string) => ({ headers: { "x-user": name } });
        for (const name of ["ann", "x".repeat(8_000), "default@Plain.a", "{a}:b|c~d", "__proto__", "\\|!"]) {
          same([name, ...(await statuses("/a", 2, user(name)))], [name, 200, 429]);
        }
        same(await statuses("/a", 1), [400]);
      },
      PLATFORMS[platform],
    ),

  "what a key function throws is an error of the request, and counts nothing": (platform) =>
    servingModule(
      withLimits(
        {
          provider: frozen(),
          limiters: [
            { name: "first", limit: 2 },
            {
              name: "second",
              limit: 2,
              key: ({ header }) => {
                if (header("x-bad")) throw new Error("no user");
                return "k";
              },
            },
          ],
        },
        Plain,
      ),
      async ({ statuses, log }) => {
        same(await statuses("/a", 3, { headers: { "x-bad": "1" } }), [500, 500, 500]);
        match(log.errors[0]!, /^no user/);
        same(await statuses("/a", 3), [200, 200, 429]);
      },
      PLATFORMS[platform],
    ),
};

export const promises: Record<string, () => unknown> = {};
for (const platform of Object.keys(PLATFORMS)) {
  for (const [promise, run] of Object.entries(ofPlatform)) {
    promises[`nestjs, ${platform}: ${promise}`] = () => run(platform);
  }
}

promises["nestjs: the decorators of a handler are refused where they are wrong, before the application listens"] =
  async () => {
    const starting = (...decorators: MethodDecorator[]) => {
      class Wrong {
        get() {}
      }
      const descriptor = Object.getOwnPropertyDescriptor(Wrong.prototype, "get")!;
      for (const decorate of [Get(), ...decorators]) decorate(Wrong.prototype, "get", descriptor);
      Controller()(Wrong);
      return servingModule(withLimits({ limit: 5 }, Wrong), () => undefined);
    };
    const invalid = (message: RegExp) => ({ code: "INVALID_OPTION", message });
    await rejects(
      starting(SkipRateLimit({ burts: true })),
      invalid(/@SkipRateLimit on Wrong.get: got "burts".*default/),
    );
    await rejects(starting(RateLimitCost({ other: 2 })), invalid(/@RateLimitCost on Wrong.get: got "other"/));
    await rejects(starting(RateLimit({ name: "new" })), invalid(/new.limit: got undefined/));
    await rejects(starting(RateLimit({ limit: 0 })), invalid(/default.limit: got 0/));
    await rejects(starting(RateLimitCost(-1)), { code: "INVALID_COUNT" });
    await rejects(
      starting(RateLimit({ name: "shed", limit: 2, strategy: "suppressed", blockMs: minutes(1) })),
      invalid(/blockMs/),
    );
    await rejects(async () => starting(RateLimit()), invalid(/@RateLimit: got/));
    await rejects(
      async () => starting(RateLimit({ limit: 1 }), RateLimit({ limit: 2 })),
      invalid(/more than one limiter/),
    );
  };
