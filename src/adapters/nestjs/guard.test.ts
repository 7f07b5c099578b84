// Nest's guard with contexts made by hand, and decorators called as TypeScript calls them.

import "reflect-metadata";
import type { ExecutionContext, Type } from "@nestjs/common";
import { createLocalProvider, minutes, type Provider } from "trypema";
import { afterEach, expect, it, vi } from "vitest";
import { RateLimit, RateLimitCost, SkipRateLimit } from "./decorators.ts";
import { RateLimitGuard } from "./guard.ts";
import type { TrypemaModuleOptions } from "./options.ts";
import { RateLimits } from "./rate-limits.ts";

type Decorator = MethodDecorator & ClassDecorator;

const windowMs = minutes(1);

function decorate(controller: Type, method: string | undefined, ...decorators: readonly Decorator[]): void {
  for (const decorator of decorators) {
    if (method === undefined) decorator(controller);
    else {
      const descriptor = Object.getOwnPropertyDescriptor(controller.prototype, method)!;
      decorator(controller.prototype, method, descriptor);
      Object.defineProperty(controller.prototype, method, descriptor);
    }
  }
}

function contextOf(controller: Type, method: string, type = "http", data?: unknown): ExecutionContext {
  const request = { headers: {}, socket: { remoteAddress: "192.0.2.1" }, method: "GET", url: "/" };
  return {
    getClass: () => controller,
    getHandler: () => controller.prototype[method],
    getType: () => type,
    getArgs: () => [data],
    switchToHttp: () => ({ getRequest: () => request, getResponse: () => undefined }),
    switchToRpc: () => ({ getData: () => data }),
  } as unknown as ExecutionContext;
}

function setUp(options: TrypemaModuleOptions, provider: Provider = createLocalProvider()) {
  const limits = new RateLimits(options, provider);
  const guard = new RateLimitGuard(limits);
  const call = (...args: Parameters<typeof contextOf>) =>
    guard.canActivate(contextOf(...args)).catch((error) => error.code ?? error.getStatus());
  return { limits, call };
}

afterEach(() => void vi.restoreAllMocks());

it("refuses an option of a limiter beside limiters, which the compiler sees to", () => {
  const limiters = [{ name: "a", limit: 5 }];
  // @ts-expect-error
  expect(() => setUp({ limiters, onBackendFailure: "local" })).toThrow(/limiters: got onBackendFailure beside them/);
  // @ts-expect-error
  expect(() => setUp({ onBackendFailure: "local" })).toThrow(/^default\.limit: got undefined/);
  expect(setUp({ limiters: [] })).toBeDefined();
});

it("never takes the data of a message for a request, because its sender would choose its address", async () => {
  class Micro {
    ping() {}
  }
  const { call } = setUp({ limit: 1, windowMs, allow: ["private"], onNotice: false });
  const forged = { headers: {}, socket: { remoteAddress: "127.0.0.1" }, method: "GET", url: "/" };
  expect(await call(Micro, "ping", "rpc", forged)).toBe("INVALID_OPTION");
  expect(await call(Micro, "ping", "rpc", { raw: forged })).toBe("INVALID_OPTION");
});

it("keeps the limits of a base controller where the subclass has decorators too", async () => {
  class Base {
    list() {}
  }
  class Sub extends Base {}
  decorate(Base, undefined, RateLimit({ limit: 1, windowMs }));
  decorate(Sub, undefined, RateLimit({ name: "own", limit: 50, windowMs }));
  const { call, limits } = setUp({ limit: 100, windowMs });
  expect([await call(Sub, "list"), await call(Sub, "list")]).toEqual([true, 429]);
  expect(limits.limiter("own", Sub)).toBeDefined();
});

it("lets the subclass replace what the base controller says", async () => {
  class Base {
    list() {}
  }
  class Sub extends Base {}
  decorate(Base, undefined, RateLimit({ limit: 1, windowMs }));
  decorate(Sub, undefined, RateLimit({ limit: 2 }));
  const { call } = setUp({ limit: 100, windowMs });
  expect([await call(Sub, "list"), await call(Sub, "list"), await call(Sub, "list")]).toEqual([true, true, 429]);
});

it("counts handlers apart that another decorator has wrapped", async () => {
  class Auth {
    login() {}
    register() {}
  }
  const wrap = ((_target: object, _name: string, descriptor: PropertyDescriptor) => {
    const { value } = descriptor;
    descriptor.value = Object.defineProperty((...args: unknown[]) => value(...args), "name", { value: "" });
  }) as unknown as Decorator;
  for (const method of ["login", "register"]) decorate(Auth, method, wrap, RateLimit({ limit: 1, windowMs }));
  const { call, limits } = setUp({});
  expect([await call(Auth, "login"), await call(Auth, "login"), await call(Auth, "register")]).toEqual([
    true,
    429,
    true,
  ]);
  expect(limits.limiter("default", Auth, "register").get("192.0.2.1")).toMatchObject({ total: 1 });
});

it("has a limiter that a handler adds cost what the controller says", async () => {
  class Mail {
    send() {}
    read() {}
  }
  decorate(Mail, undefined, RateLimitCost(10));
  decorate(Mail, "send", RateLimit({ name: "send", limit: 20, windowMs }));
  decorate(Mail, "read", RateLimit({ name: "read", limit: 20, windowMs, cost: 2 }));
  const { call, limits } = setUp({ limit: 100, windowMs });
  expect([await call(Mail, "send"), await call(Mail, "read")]).toEqual([true, true]);
  expect(limits.limiter("send", Mail, "send").get("192.0.2.1")).toMatchObject({ total: 10 });
  expect(limits.limiter("read", Mail, "read").get("192.0.2.1")).toMatchObject({ total: 2 });
});

it("tells of each outage once, however many handlers have limiters of that name", async () => {
  class Shop {
    list() {}
    buy() {}
  }
  decorate(Shop, "buy", RateLimit({ limit: 50, windowMs }));
  let nowMs = 0;
  vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  let isAway = false;
  const local = createLocalProvider();
  const inc: Provider["absolute"]["inc"] = (...args) => {
    if (isAway) throw new Error("away");
    return local.absolute.inc(...args);
  };
  const provider = { windowMs, absolute: { inc }, suppressed: { inc } } as unknown as Provider;
  (provider as { withWindow: unknown }).withWindow = () => provider;
  const told: string[] = [];
  const { call } = setUp({ limit: 100, onNotice: ({ code }) => told.push(code) }, provider);
  for (let outage = 0; outage < 2; outage++) {
    for (const [away, waitMs] of [
      [true, 0],
      [false, 0],
      [false, 6_000],
      [false, 0],
    ] as const) {
      isAway = away;
      nowMs += waitMs;
      for (const method of ["list", "buy"]) await call(Shop, method);
    }
  }
  expect(told).toEqual(["BACKEND_AWAY", "BACKEND_BACK", "BACKEND_AWAY", "BACKEND_BACK"]);
});

it.each(["burst", null, 1])("refuses %j as what to skip", (skip) => {
  expect(() => SkipRateLimit(skip as unknown as boolean)).toThrow(/@SkipRateLimit: got .*, expected true, false, or/);
});
