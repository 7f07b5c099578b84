// What docs/migrating.md says of @nestjs/throttler: one application with its decorators, and the same with ours.

import "reflect-metadata";
import { type CanActivate, Controller, type ExecutionContext, Get, Post } from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { SkipThrottle, Throttle, ThrottlerGuard, ThrottlerModule, type ThrottlerOptions } from "@nestjs/throttler";
import { createLimits, createLocalProvider, minutes } from "trypema";
import {
  RateLimit,
  RateLimitGuard,
  requestOf,
  SkipRateLimit,
  TrypemaModule,
  type TrypemaModuleOptions,
} from "trypema/nestjs";
import { type Served, same, servingModule } from "./serve.js";

@SkipThrottle({ long: true })
@SkipRateLimit({ long: true })
@Controller()
class App {
  @Get("one")
  one() {}

  @Get("other")
  other() {}

  @Throttle({ short: { limit: 1, ttl: minutes(2) } })
  @RateLimit({ name: "short", limit: 1, windowMs: minutes(2) })
  @Get("strict")
  strict() {}

  @SkipThrottle({ short: true })
  @SkipRateLimit()
  @Get("free")
  free() {}

  @SkipThrottle({ short: true, long: false })
  @SkipRateLimit({ short: true, long: false })
  @Post("long")
  long() {}
}

@Controller()
class Both {
  @Get("both")
  both() {}
}

/** Has the user of a request from a header, as a guard that authenticates does. */
class Authentication implements CanActivate {
  canActivate(context: ExecutionContext) {
    const request = context.switchToHttp().getRequest();
    request.user = { id: request.headers["x-user"] };
    return true;
  }
}

type Use = (served: Served) => Promise<unknown>;

function peer(throttlers: ThrottlerOptions[], use: Use, more: object = {}) {
  return servingModule(
    {
      imports: [ThrottlerModule.forRoot({ throttlers, ...more })],
      controllers: [App, Both],
      providers: [
        { provide: APP_GUARD, useClass: Authentication },
        { provide: APP_GUARD, useClass: ThrottlerGuard },
      ],
    },
    use,
  );
}

function ours(options: object, use: Use) {
  return servingModule(
    {
      imports: [TrypemaModule.forRoot({ provider: createLocalProvider(), ...options } as TrypemaModuleOptions)],
      controllers: [App, Both],
      providers: [
        { provide: APP_GUARD, useClass: Authentication },
        { provide: APP_GUARD, useExisting: RateLimitGuard },
      ],
    },
    use,
  );
}

/** What both applications answer. */
async function both(
  throttlers: ThrottlerOptions[],
  options: object,
  statusesOf: (served: Served) => Promise<unknown>,
  more?: object,
): Promise<[theirs: unknown, same: unknown]> {
  const answers: unknown[] = [];
  const use: Use = async (served) => answers.push(await statusesOf(served));
  await peer(throttlers, use, more);
  await ours(options, use);
  return [answers[0], answers[1]];
}

const THROTTLERS = [
  { name: "short", ttl: minutes(1), limit: 2 },
  { name: "long", ttl: minutes(10), limit: 3 },
];
const LIMITERS = [
  { name: "short", windowMs: minutes(1), limit: 2 },
  { name: "long", windowMs: minutes(10), limit: 3 },
];

const as = (user: string, agent = "test") => ({ headers: { "x-user": user, "user-agent": agent } });

export const promises: Record<string, () => unknown> = {
  "migrating, @nestjs/throttler: named throttlers, another limit for a handler, and skips, by decorators of ours":
    async () => {
      const [theirs, answers] = await both(THROTTLERS, { limiters: LIMITERS }, async ({ statuses, get }) => [
        await statuses("/one", 3),
        await statuses("/strict", 2),
        await statuses("/free", 5),
        await statuses("/long", 4, { method: "POST" }),
        (await get("/strict")).headers.get("retry-after-short") === null,
        (await get("/strict")).headers.get("ratelimit") === null,
      ]);
      const expected = [[200, 200, 429], [200, 429], Array(5).fill(200), [201, 201, 201, 429]];
      same(theirs, [...expected, false, true]);
      same(answers, [...expected, true, false]);
    },

  "migrating, @nestjs/throttler: each handler is counted by itself there, and a limiter of the module counts all here":
    async () => {
      const [theirs, answers] = await both(THROTTLERS, { limiters: LIMITERS }, async ({ statuses }) => [
        await statuses("/one", 2),
        await statuses("/other", 2),
      ]);
      same(theirs, [
        [200, 200],
        [200, 200],
      ]);
      same(answers, [
        [200, 200],
        [429, 429],
      ]);
    },

  "migrating, @nestjs/throttler: getTracker is the key, and skipIf and ignoreUserAgents are skip": async () => {
    const key = ({ raw }: { raw: ExecutionContext }) => requestOf(raw).user?.id;
    const skip = ({ header }: { header(name: string): string | undefined }) =>
      header("x-user") === "root" || header("user-agent") === "robot";
    const run = async ({ statuses }: Served) => [
      await statuses("/one", 3, as("ann")),
      await statuses("/one", 1, as("bob")),
      await statuses("/one", 3, as("root")),
      await statuses("/one", 3, as("ann", "robot")),
    ];
    const [theirs, answers] = await both(
      THROTTLERS,
      { limiters: LIMITERS.map((limiter) => ({ ...limiter, key, skip })) },
      run,
      {
        getTracker: async (request: { user: { id: string } }) => request.user.id,
        skipIf: (context: ExecutionContext) => context.switchToHttp().getRequest().user.id === "root",
        ignoreUserAgents: [/robot/],
      },
    );
    same(theirs, [[200, 200, 429], [200], [200, 200, 200], [200, 200, 200]]);
    same(answers, theirs);
  },

  "migrating, @nestjs/throttler: a throttler that denies has let those before it count, and no limit here has":
    async () => {
      const throttlers = [
        { name: "short", ttl: minutes(1), limit: 3 },
        { name: "long", ttl: minutes(10), limit: 1 },
      ];
      await peer(throttlers, async ({ get }) => {
        const left = [];
        for (let i = 0; i < 2; i++) {
          const { status, headers } = await get("/both");
          left.push([status, headers.get("x-ratelimit-remaining-short"), headers.get("retry-after-long") === null]);
        }
        same(left, [
          [200, "2", true],
          [429, "1", false],
        ]);
      });
      const limits = createLimits(createLocalProvider(), {
        short: { limit: 3, windowMs: minutes(1) },
        long: { limit: 1, windowMs: minutes(10) },
      });
      const [first, second] = [limits.take("k"), limits.take("k")];
      same([first.allowed, second.allowed, second.deniedBy], [true, false, "long"]);
      same(second.decisions.short.remaining, 2);
      // A limit is skipped where its key is left out, and another limit is the third argument.
      same(limits.take({ short: "k" }, 1, { short: 1 }).allowed, false);
      same(limits.take({ short: "k" }).allowed, true);
    },
};
