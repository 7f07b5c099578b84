// The storage, in @nestjs/throttler's own module and guard, beside its storage in memory.

import "reflect-metadata";
import { ok, rejects } from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Controller, Get, type Type } from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import {
  SkipThrottle,
  Throttle,
  ThrottlerGuard,
  ThrottlerModule,
  type ThrottlerModuleOptions,
  type ThrottlerStorage,
  ThrottlerStorageService,
} from "@nestjs/throttler";
import { Redis } from "ioredis";
import { createLocalProvider, minutes, type Provider, seconds } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { throttlerStorage } from "trypema/nestjs";
import { createRedisProvider } from "trypema/redis";
import { manualClock } from "trypema/testing";
import { ThrottledModule } from "../app/throttler.js";
import { PLATFORMS, same, serving, servingModule } from "./serve.js";

@Controller()
class App {
  @Get("a")
  a() {}

  @Throttle({ short: { limit: 1 } })
  @Get("one")
  one() {}

  @SkipThrottle({ short: true, long: true })
  @Get("free")
  free() {}
}

const SHORT_AND_LONG = [
  { name: "short", ttl: seconds(30), limit: 2 },
  { name: "long", ttl: minutes(10), limit: 4, blockDuration: minutes(20) },
];

function throttled(storage: ThrottlerStorage, throttlers: ThrottlerModuleOptions = SHORT_AND_LONG) {
  const options = Array.isArray(throttlers) ? { throttlers } : throttlers;
  return {
    imports: [ThrottlerModule.forRoot({ ...options, storage })],
    controllers: [App] as Type[],
    providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
  };
}

/** What a client is told by the headers of both throttlers: numbers of requests, and seconds. */
interface Told {
  readonly status: number;
  readonly requests: readonly (string | null)[];
  readonly seconds: readonly (string | null)[];
}

const valuesOf = (response: Response, ...names: string[]) =>
  names.flatMap((name) => ["short", "long"].map((throttler) => response.headers.get(`${name}-${throttler}`)));

/** What clients are told in a simple run. Each handler is limited by itself, by both throttlers. */
async function simpleRun(storage: ThrottlerStorage, platform: string): Promise<Told[]> {
  const answers: Told[] = [];
  await servingModule(
    throttled(storage),
    async ({ get }) => {
      for (const path of ["a", "a", "a", "one", "one", "free", "free", "a"]) {
        const response = await get(`/${path}`);
        answers.push({
          status: response.status,
          requests: valuesOf(response, "x-ratelimit-limit", "x-ratelimit-remaining"),
          seconds: valuesOf(response, "x-ratelimit-reset", "retry-after"),
        });
      }
    },
    PLATFORMS[platform],
  );
  return answers;
}

/** The same, but for a second in which the run may have been slower. */
function sameTold(got: readonly Told[], expected: readonly Told[]): void {
  const exact = (answers: readonly Told[]) => answers.map(({ status, requests }) => ({ status, requests }));
  same(exact(got), exact(expected));
  const times = (answers: readonly Told[]) => answers.flatMap(({ seconds }) => seconds);
  for (const [index, time] of times(got).entries()) {
    const other = times(expected)[index]!;
    same([index, time === null], [index, other === null]);
    ok(Math.abs(Number(time) - Number(other)) <= 5, `${time} s, and ${other} s of its own storage`);
  }
}

const redisUrl = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";

/** With a client, and a prefix that no other run has: the server is there for other projects too. */
async function withRedis(use: (client: Redis, prefix: string) => unknown): Promise<void> {
  const client = new Redis(redisUrl);
  try {
    await use(client, randomUUID());
  } finally {
    client.disconnect();
  }
}

/** Of a storage at each of `timesMs`: whether a call is admitted. */
async function admitted(storage: ThrottlerStorage, clock: (ms: number) => void, timesMs: readonly number[]) {
  const admissions: boolean[] = [];
  for (const [index, timeMs] of timesMs.entries()) {
    clock(timeMs - (timesMs[index - 1] ?? 0));
    admissions.push(!(await storage.increment("k", 60_000, 3, 1_000, "default")).isBlocked);
  }
  return admissions;
}

export const promises: Record<string, () => unknown> = {
  "@nestjs/throttler: the recipe changes one line": () =>
    serving(ThrottledModule, async ({ statuses }) => {
      same((await statuses("/", 11)).slice(-2), [200, 429]);
    }),

  "@nestjs/throttler: after a short block no second burst comes in the same window, as one does with its own storage":
    async () => {
      const timesMs = [0, 0, 0, 10, 1_100, 1_100, 1_100];
      const realNow = Date.now;
      const memory = new ThrottlerStorageService();
      try {
        let nowMs = realNow();
        Date.now = () => nowMs;
        const inMemory = await admitted(memory, (ms) => (nowMs += ms), timesMs);
        same(inMemory, [true, true, true, false, true, true, true]);
      } finally {
        Date.now = realNow;
        memory.onApplicationShutdown();
      }
      const clock = manualClock();
      const storage = throttlerStorage(createLocalProvider({ clock }));
      const ours = await admitted(storage, (ms) => void (ms > 0 && clock.advance(ms)), timesMs);
      same(ours, [true, true, true, false, false, false, false]);
    },

  "@nestjs/throttler: no window has more than the limit, where one ends and the next begins": async () => {
    const clock = manualClock();
    const storage = throttlerStorage(createLocalProvider({ clock }));
    const hit = async () => !(await storage.increment("k", 60_000, 10, 0, "default")).isBlocked;
    let before = 0;
    clock.advance(59_000);
    for (let i = 0; i < 20; i++) before += Number(await hit());
    clock.advance(2_000);
    let after = 0;
    for (let i = 0; i < 20; i++) after += Number(await hit());
    same([before, after], [10, 0]);
  },

  "@nestjs/throttler: a block lasts as long as it says, isn't prolonged, and ends": async () => {
    const clock = manualClock();
    const { increment } = throttlerStorage(createLocalProvider({ clock }));
    const hit = () => increment("k", 10_000, 1, 30_000, "login");
    same(await hit(), { totalHits: 1, timeToExpire: 10, isBlocked: false, timeToBlockExpire: 0 });
    const blocked = await hit();
    same([blocked.totalHits, blocked.isBlocked, blocked.timeToBlockExpire], [2, true, 30]);
    clock.advance(20_000);
    same([(await hit()).isBlocked, (await hit()).timeToBlockExpire], [true, 10]);
    clock.advance(10_001);
    same((await hit()).isBlocked, false);
  },

  "@nestjs/throttler: a limit below 1 admits nobody, Infinity everybody, and a fraction is rounded down": async () => {
    const { increment } = throttlerStorage(createLocalProvider());
    same(await increment("k", 5_000, 0, 5_000, "none"), {
      totalHits: 1,
      timeToExpire: 5,
      isBlocked: true,
      timeToBlockExpire: 5,
    });
    for (let i = 0; i < 100; i++) ok(!(await increment("k", 5_000, Number.POSITIVE_INFINITY, 0, "all")).isBlocked);
    const fraction = [];
    for (let i = 0; i < 3; i++) fraction.push((await increment("k", 5_000, 2.9, 0, "some")).isBlocked);
    same(fraction, [false, false, true]);
    await rejects(increment("k", 0, 5, 0, "none"), { code: "INVALID_OPTION" });
    await rejects(increment("k", Number.NaN, 5, 0, "none"), { code: "INVALID_OPTION" });
  },

  "@nestjs/throttler: names and keys of any form count apart": async () => {
    const { increment } = throttlerStorage(createLocalProvider());
    const pairs = [
      ["a", "b:c"],
      ["a:b", "c"],
      ["", ""],
      ["My Throttler!", "{k}"],
      ["a", "x".repeat(9_000)],
      ["a", "\ud800"],
    ];
    for (const [name, key] of [...pairs, ...pairs]) {
      const { totalHits } = await increment(key!, 60_000, 5, 0, name!);
      ok(totalHits <= 2, `${name} ${key}`);
    }
    const again = await Promise.all(pairs.map(([name, key]) => increment(key!, 60_000, 5, 0, name!)));
    same(
      again.map(({ totalHits }) => totalHits),
      pairs.map(() => 3),
    );
  },

  "@nestjs/throttler: windows that are functions of a request are bounded, and never admit more": async () => {
    const windows = new Set<number>();
    const local = createLocalProvider({ clock: () => 0 });
    const withWindow = (window: { windowMs: number }) => {
      windows.add(window.windowMs);
      return local.withWindow(window);
    };
    const provider: Provider = { ...local, withWindow };
    const { increment } = throttlerStorage(provider);
    for (let ttl = 1_001; ttl <= 3_000; ttl++) await increment("k", ttl, 1, 0, "default");
    ok(windows.size > 100 && windows.size < 110, `${windows.size} windows`);
    same((await increment("k", 2_999, 1, 0, "default")).isBlocked, true);
  },
};

for (const platform of Object.keys(PLATFORMS)) {
  promises[`@nestjs/throttler, ${platform}: in a simple run clients are told the same as with its own storage`] =
    async () => {
      const memory = new ThrottlerStorageService();
      const expected = await simpleRun(memory, platform);
      memory.onApplicationShutdown();
      same(
        expected.map(({ status }) => status),
        [200, 200, 429, 200, 429, 200, 200, 429],
      );
      sameTold(await simpleRun(throttlerStorage(createLocalProvider()), platform), expected);
      await withRedis(async (client, prefix) => {
        const provider = createRedisProvider(client, { prefix });
        sameTold(await simpleRun(throttlerStorage(provider), platform), expected);
        await provider.close();
        const hybrid = createHybridProvider(client, { prefix: `${prefix}-hybrid` });
        sameTold(await simpleRun(throttlerStorage(hybrid), platform), expected);
        await hybrid.close();
      });
    };
}

promises[
  "@nestjs/throttler: two processes' worth of storages share a limit over Redis, and a crowd is counted exactly"
] = () =>
  withRedis(async (client, prefix) => {
    const providers = [
      createRedisProvider(client, { prefix }),
      createHybridProvider(client, { prefix: `${prefix}-hybrid` }),
    ];
    for (const [index, provider] of providers.entries()) {
      const storages = [throttlerStorage(provider), throttlerStorage(provider)];
      const hits = Array.from({ length: 60 }, (_, i) =>
        storages[i % 2]!.increment(`crowd${index}`, 60_000, 25, 60_000, "default"),
      );
      same((await Promise.all(hits)).filter(({ isBlocked }) => !isBlocked).length, 25);
      await provider.close();
    }
  });

promises["@nestjs/throttler: while Redis is away the provider's failure policy decides"] = async () => {
  const client = new Redis("redis://127.0.0.1:1", { lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => undefined);
  for (const [onFailure, expected] of [
    ["allow", [200, 200, 200]],
    ["deny", [429, 429, 429]],
    ["local", [200, 200, 429]],
    ["throw", [500, 500, 500]],
  ] as const) {
    const provider = createRedisProvider(client, { onFailure });
    const throttlers = [{ ttl: minutes(1), limit: 2 }];
    await servingModule(throttled(throttlerStorage(provider), throttlers), async ({ statuses }) => {
      same([onFailure, ...(await statuses("/a", 3))], [onFailure, ...expected]);
    });
    await provider.close();
  }
  client.disconnect();
};
