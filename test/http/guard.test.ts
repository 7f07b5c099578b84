// The core by itself: wrong options, reservations, metrics.

import { metrics as metricsApi } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { createLimits, createLocalProvider, perMinute, perSecond, type Rate, TrypemaError, unlimited } from "trypema";
import {
  clientAddress,
  combined,
  type DecisionEvent,
  Guard,
  type HttpRequest,
  type Notice,
  prometheusMetrics,
  type RateLimitOptions,
  reservationOf,
  type Verdict,
} from "trypema/http";
import { openTelemetryMetrics } from "trypema/opentelemetry";
import { createFakeRedisProvider, manualClock } from "trypema/testing";
import { describe, expect, it, vi } from "vitest";
import { limiterOf } from "./limiter-of.ts";

const WINDOW_MS = 10_000;
/** Its time stands still, so that what is told of a window is the same on a slow machine. */
const provider = (clock: () => number = manualClock()) => createLocalProvider({ windowMs: WINDOW_MS, clock });
const ONE = perSecond(0.1);

function request(peerAddress: string | undefined = "203.0.113.7"): HttpRequest<object> {
  return { raw: {}, method: "GET", path: "/", peerAddress, header: () => undefined };
}

describe("a guard", () => {
  const rate = perMinute(60);
  it.each([
    [{ rate }, "INVALID_OPTION", /provider: got undefined/],
    [{ provider: {}, rate }, "INVALID_OPTION", /provider: got an object/],
    [{ provider: provider() }, "INVALID_OPTION", /default.limit: got undefined, expected a positive integer, or rate/],
    [{ provider: provider(), rate: 0 }, "INVALID_RATE", /rate: got 0/],
    [{ provider: provider(), rate: perMinute(1) }, "CAPACITY_BELOW_ONE", /holds less than one request/],
    [{ provider: provider(), rate, limit: 5 }, "INVALID_OPTION", /default.limit: got 5 beside a rate, exp/],
    [{ provider: provider(), rate, limit: () => 5 }, "INVALID_OPTION", /default.limit: got a function beside a rate/],
    [{ provider: provider(), limit: 0 }, "INVALID_OPTION", /default.limit: got 0, .* or "none" to admit nobody/],
    [{ provider: provider(), limit: 1.5 }, "INVALID_OPTION", /default.limit: got 1.5/],
    [{ provider: provider(), limit: "all" }, "INVALID_OPTION", /default.limit: got "all"/],
    [{ provider: provider(), rate, windowMs: 0 }, "INVALID_OPTION", /windowMs: got 0/],
    [{ provider: provider(), rate, windowMs: 500 }, "CAPACITY_BELOW_ONE", /a window of 500 ms/],
    [{ provider: provider(), rate, bucketMs: 10_001 }, "INVALID_OPTION", /bucketMs: got 10001/],
    [{ provider: provider(), rate, blockMs: 0 }, "INVALID_OPTION", /default.blockMs: got 0/],
    [
      { provider: provider(), rate, blockMs: 1, strategy: "suppressed" },
      "INVALID_OPTION",
      /default.blockMs: only an absolute limit can block/,
    ],
    [
      { provider: Promise.resolve(provider()), rate },
      "INVALID_OPTION",
      /provider: got an object, expected a provider; await it/,
    ],
    [{ provider: { sendCommand() {} }, rate }, "INVALID_OPTION", /; make one: createRedisProvider\(client\)/],
    [{ provider: { evalsha() {} }, rate }, "INVALID_OPTION", /; make one: createRedisProvider\(client\)/],
    [
      { provider: provider(), limiters: [] },
      "INVALID_OPTION",
      /limiters: got an empty array, expected an array of at least/,
    ],
    [{ provider: provider(), limiters: {} }, "INVALID_OPTION", /limiters: got an object, expected an array/],
    [
      { provider: provider(), limiters: [{ rate }], rate, onBackendFailure: "local" },
      "INVALID_OPTION",
      /limiters: got rate, onBackendFailure beside them; move what is a limiter's into each limiter/,
    ],
    [{ provider: provider(), limiters: [{ rate, burst: 1 }] }, "INVALID_OPTION", /limiter.burst is not an option/],
    [{ provider: provider(), rate, name: 'a"b' }, "INVALID_OPTION", /name: got/],
    [{ provider: provider(), rate, name: "x".repeat(61) }, "INVALID_OPTION", /name: got/],
    [{ provider: provider(), rate, strategy: "hard" }, "INVALID_OPTION", /strategy: got "hard"/],
    [{ provider: provider(), rate, cost: -1 }, "INVALID_COUNT", /cost: got -1, expected 0 or a positive integer/],
    [{ provider: provider(), rate: "no" }, "INVALID_RATE", /rate: got "no"/],
    [{ provider: provider(), rate, key: "ip" }, "INVALID_OPTION", /key: got "ip", expected a function/],
    [{ provider: provider(), rate, onMissingKey: {} }, "INVALID_OPTION", /onMissingKey: got an object/],
    [
      { provider: provider(), rate, onBackendFailure: "throw" },
      "INVALID_OPTION",
      /onBackendFailure: got "throw".* or a function/,
    ],
    [
      { provider: provider(), rate, onBackendFailure: {} },
      "INVALID_OPTION",
      /onBackendFailure.provider: got undefined/,
    ],
    [{ provider: provider(), rate, uncounted: "all" }, "INVALID_OPTION", /uncounted: got "all"/],
    [{ provider: provider(), rate, respond: "no" }, "INVALID_OPTION", /respond: got "no", expected a function/],
    [{ provider: provider(), rate, handler: {} }, "INVALID_OPTION", /handler: got an object, expected a function/],
    [
      { provider: provider(), rate, handler() {}, respond() {} },
      "INVALID_OPTION",
      /handler: got both handler and respond/,
    ],
    [{ provider: provider(), rate, allow: "::1" }, "INVALID_OPTION", /allow: got "::1", .* such as \["::1"\], or a f/],
    [
      { provider: provider(), rate, allow: ["::/0"] },
      "INVALID_OPTION",
      /allow: got "::\/0", .* nobody would be limited/,
    ],
    [{ provider: provider(), rate, allow: ["10.0.0.1/8"] }, "INVALID_OPTION", /allow: .*, write "10.0.0.0\/8"/],
    [{ provider: provider(), rate, allow: [7] }, "INVALID_OPTION", /allow: got 7, .* or a function in place/],
    [
      { provider: provider(), rate, allow: ["::1"], key: () => "k" },
      "INVALID_OPTION",
      /allow: got a list, but the limit/,
    ],
    [{ provider: provider(), rate, headers: "draft-8" }, "INVALID_OPTION", /headers: got "draft-8"/],
    [{ provider: provider(), rate, headers: [] }, "INVALID_OPTION", /headers: got an empty array/],
    [
      { provider: provider(), rate, headers: ["none"] },
      "INVALID_OPTION",
      /headers: got "none", expected one of draft-10/,
    ],
    [
      { provider: provider(), rate, headers: ["draft-6", "draft-10"] },
      "INVALID_OPTION",
      /headers: got "draft-6" and "draft-10", which both have the field ratelimit-policy/,
    ],
    [{ provider: provider(), rate, exposeHeaders: "yes" }, "INVALID_OPTION", /exposeHeaders: got "yes", expected true/],
    [{ provider: provider(), rate, burst: 1 }, "INVALID_OPTION", /options.burst is not an option/],
    [{ provider: provider(), rate, hideRemaining: "yes" }, "INVALID_OPTION", /hideRemaining: got "yes", expected true/],
    [{ provider: provider(), rate, status: 200 }, "INVALID_OPTION", /status: got 200/],
  ])("is not made of %o", (options, code, message) => {
    expect(() => new Guard(options as never)).toThrow(expect.objectContaining({ code }));
    expect(() => new Guard(options as never)).toThrow(message);
  });

  it.each([undefined, null, "GET /", 7])("says that a request can't be known again by %o", (raw) => {
    const wrong = expect.objectContaining({
      code: "INVALID_OPTION",
      message: expect.stringMatching(/^request.raw: got /),
    });
    expect(() => new Guard({ provider: provider(), rate }).check({ ...request(), raw: raw as never })).toThrow(wrong);
    expect(() => reservationOf(raw as never)).toThrow(/that no limiter has seen/);
  });

  it("notices a proxy that it wasn't told of also where a list allows that proxy, and so everybody", () => {
    const codes: string[] = [];
    const onNotice = ({ code }: { code: string }) => codes.push(code);
    const guard = new Guard({ provider: provider(), rate: ONE, allow: ["private"], onNotice });
    const forwarded = {
      ...request("10.0.0.1"),
      header: (name: string) => (name === "x-forwarded-for" ? "8.8.8.8" : undefined),
    };
    expect(guard.check(forwarded)).toMatchObject({ answer: undefined, fields: [] });
    expect(codes).toEqual(["PROXY_UNNAMED"]);
  });

  it("has a rate or a limit, which the compiler sees to", () => {
    const shared = { provider: provider() };
    // @ts-expect-error
    expect(() => new Guard({ ...shared, rate, limit: 5 })).toThrow();
    // @ts-expect-error
    expect(() => new Guard({ ...shared, windowMs: 5 })).toThrow();
    // @ts-expect-error
    expect(() => new Guard({ ...shared, limiters: [{ name: "a" }] })).toThrow();
    // @ts-expect-error
    expect(() => new Guard({ ...shared, limit: 5, windowMs: "1 minute" })).toThrow();
    // @ts-expect-error
    expect(new Guard({ ...shared, limit: 5, windowMs: () => "1 minute" })).toBeDefined();
    // @ts-expect-error no form among others
    expect(() => new Guard({ ...shared, rate, headers: ["none", "draft-6"] })).toThrow();
    // @ts-expect-error a response
    expect(new Guard({ ...shared, rate, uncounted: (status: number) => status === 404 })).toBeDefined();
    // @ts-expect-error a list
    expect(() => new Guard({ ...shared, rate, allow: "::1" })).toThrow();
    const limiters = [
      { name: "a", limit: 5 },
      { name: "b", limit: () => 5 },
      { name: "c", rate },
    ];
    expect(new Guard({ ...shared, limiters })).toBeDefined();
    expect(new Guard({ ...shared, limiters, rate: undefined, name: undefined })).toBeDefined();
    expect(new Guard({ ...shared, limiters: undefined, rate })).toBeDefined();
    // @ts-expect-error an option of a limiter
    expect(() => new Guard({ ...shared, limiters, onBackendFailure: "local" })).toThrow();
    // @ts-expect-error an option of a limiter
    expect(() => new Guard({ ...shared, limiters, name: "all" })).toThrow();
    // @ts-expect-error a limit
    expect(() => new Guard({ ...shared, limiters, limit: 5 })).toThrow();
  });

  it("may be made again with an edited rate, which holds from then on", () => {
    const shared = provider();
    new Guard({ provider: shared, rate: perMinute(12) }).check(request());
    const { fields } = new Guard({ provider: shared, rate }).check(request()) as Verdict;
    expect(fields).toEqual(["ratelimit-policy", '"default";q=10;w=10', "ratelimit", '"default";r=8;t=10']);
  });

  it("lets callbacks take the request's methods out, whatever the adapter's request is", async () => {
    class OwnRequest implements HttpRequest<object> {
      readonly raw = {};
      readonly method = "GET";
      readonly path = "/";
      readonly peerAddress = undefined;
      readonly #headers = { "x-api-key": "k", "x-cost": "3" };
      header(name: string): string | undefined {
        return this.#headers[name as "x-api-key"];
      }
    }
    const shared = provider();
    const guard = new Guard<object>({
      provider: shared,
      rate: ({ header }) => (header("x-cost") === "3" ? perSecond(0.3) : ONE),
      key: ({ header }) => header("x-api-key"),
      cost: ({ header }) => Number(header("x-cost")),
      skip: ({ header }) => header("x-skip") !== undefined,
      respond: (_, { header }) => ({ body: `${header("x-api-key")}` }),
    });
    expect(await guard.check(new OwnRequest())).toMatchObject({ answer: undefined });
    expect(await guard.check(new OwnRequest())).toMatchObject({ answer: { status: 429, body: "k" } });
    expect(limiterOf(shared).get("k").total).toBe(3);
  });

  it.each([
    ["ann", "ann"],
    [7, "7"],
    [0, "0"],
    [-0, "0"],
    [1.5, "1.5"],
    [0n, "0"],
    [2n ** 64n, "18446744073709551616"],
  ])("counts for the key %o, as it is or as one of several", (key, stored) => {
    const shared = provider();
    const limiters = [
      { rate: ONE, key: () => key },
      { name: "several", rate: ONE, key: combined(() => key, clientAddress()) },
    ];
    expect(new Guard({ provider: shared, limiters }).check(request())).toMatchObject({ answer: undefined });
    expect(limiterOf(shared).get(stored).total).toBe(1);
    expect(limiterOf(shared, "several").get(`${stored}|203.0.113.7`).total).toBe(1);
  });

  it.each([undefined, null, ""])("finds no key in %o", async (key) => {
    for (const found of [() => key, combined(() => key, clientAddress())]) {
      expect(await new Guard({ provider: provider(), rate, key: found }).check(request())).toMatchObject({
        answer: { status: 400 },
      });
    }
  });

  it.each([
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "Infinity"],
    [false, "false"],
    [true, "true"],
    [{}, "an object"],
    [["a"], "an array"],
    [() => "a", "a function"],
    [Symbol("a"), "Symbol(a)"],
  ])("takes %o for a mistake and not for a key", async (key, shown) => {
    const wrong = {
      code: "INVALID_KEY",
      message: expect.stringContaining(`default.key: got ${shown}, expected a text`),
    };
    for (const found of [() => key, async () => key, combined((() => key) as never)]) {
      const check = async () => new Guard({ provider: provider(), rate, key: found as never }).check(request());
      await expect(check()).rejects.toThrow(expect.objectContaining(wrong));
    }
  });

  it.each<[string, object, string, RegExp]>([
    ["key", { key: () => Number.NaN }, "INVALID_KEY", /^login\.key: got NaN, expected a text/],
    ["part of a key", { key: combined(() => Number.NaN as never) }, "INVALID_KEY", /^login\.key: got NaN/],
    ["cost", { cost: () => Number.NaN }, "INVALID_COUNT", /^login\.cost: got NaN, expected 0 or a positive/],
    [
      "limit",
      { limit: () => undefined },
      "INVALID_OPTION",
      /^login\.limit: its function returned undefined, expected a/,
    ],
    ["limit", { limit: async () => 0 }, "INVALID_OPTION", /^login\.limit: its function returned 0, .* or "none" to/],
    [
      "rate",
      { rate: () => undefined },
      "INVALID_RATE",
      /^login\.rate: its function returned undefined, expected a rate/,
    ],
    ["window", { windowMs: () => 0 }, "INVALID_OPTION", /^login\.windowMs: got 0, expected a number from 1/],
  ])("names the limiter whose function returned a wrong %s", async (_, wrong, code, message) => {
    const limit = "rate" in wrong ? {} : { limit: 5 };
    const limiters = [
      { name: "address", rate },
      { name: "login", ...limit, ...wrong },
    ] as never;
    const check = async () => new Guard({ provider: provider(), limiters }).check(request());
    await expect(check()).rejects.toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  it("denies everybody at a rate of none, and records nothing", async () => {
    const shared = provider();
    const events: DecisionEvent[] = [];
    const onDecision = (event: DecisionEvent) => events.push(event);
    const limiters = [
      { name: "all", rate: perSecond(1) },
      { name: "plan", rate: async () => "none" as const, cost: () => 0, onDecision },
    ];
    for (const options of [{ limiters }, { name: "plan", rate: "none" as const, onDecision }]) {
      const { answer } = await new Guard({ provider: shared, ...options } as RateLimitOptions<object>).check(request());
      expect(answer).toMatchObject({ status: 429 });
      const fields = answer!.fields.join(" ");
      expect(fields).toContain('"plan";q=0;w=10');
      expect(fields).toMatch(/"plan";r=0(?!;t)/);
      expect(fields).not.toContain("retry-after");
      expect(JSON.parse(answer!.body)).toMatchObject({
        type: expect.stringContaining("quota-exceeded"),
        detail: "No requests are allowed.",
        "violated-policies": ["plan"],
      });
    }
    for (const event of events) {
      const waits = { retryAfterMs: Number.POSITIVE_INFINITY, remainingAfterWaiting: 0, moreAfterMs: 0 };
      const decision = { allowed: false, limit: 0, remaining: 0, ...waits };
      expect(event).toMatchObject({ outcome: "rejected", admitted: false, key: "203.0.113.7", decision });
      expect(JSON.parse(JSON.stringify(event.decision))).toMatchObject({ retryAfterMs: "Infinity" });
    }
    expect(events).toHaveLength(2);
    expect(limiterOf(shared, "plan").get("203.0.113.7").total).toBe(0);
    expect(limiterOf(shared, "all").get("203.0.113.7").total).toBe(0);
  });

  it("lets a shadow only watch a rate of none", async () => {
    const verdict = await new Guard({ provider: provider(), rate: "none", shadow: true }).check(request());
    expect(verdict).toMatchObject({ answer: undefined, fields: [] });
  });

  it("has nothing to do with a request that costs nothing, even over the limit", async () => {
    const shared = provider();
    const onDecision = vi.fn();
    const cost = ({ method }: HttpRequest) => (method === "HEAD" ? 0 : 1);
    const guard = new Guard<object>({ provider: shared, rate: ONE, cost, onDecision });
    expect(await guard.check(request())).toMatchObject({ answer: undefined });
    expect(await guard.check(request())).toMatchObject({ answer: { status: 429 } });
    for (let i = 0; i < 3; i++) {
      expect(await guard.check({ ...request(), method: "HEAD" })).toMatchObject({ answer: undefined, fields: [] });
    }
    expect(onDecision).toHaveBeenCalledTimes(2);
    expect(limiterOf(shared).get("203.0.113.7").total).toBe(1);
    const free = new Guard<object>({ provider: shared, name: "free", rate: ONE, cost: 0 });
    for (let i = 0; i < 3; i++) expect(await free.check(request())).toMatchObject({ answer: undefined });
  });

  it("decides at once when its provider does", () => {
    const guard = new Guard({ provider: provider(), rate, skip: () => false, cost: () => 1 });
    expect(guard.check(request())).not.toBeInstanceOf(Promise);
  });

  it("says nothing of what has no limit", () => {
    const guard = new Guard({ provider: provider(), rate: unlimited() });
    expect(guard.check(request())).toMatchObject({ answer: undefined, fields: [] });
  });

  it("doesn't let a shadow deny anybody whose key is missing, or whose backend is away", async () => {
    const fail = () => Promise.reject(new TrypemaError("BACKEND_TIMEOUT", "slow"));
    const broken = { ...provider(), absolute: { ...provider().absolute, inc: fail } } as never;
    const shadow = { rate, shadow: true } as const;
    expect(await new Guard({ provider: provider(), ...shadow }).check(request(""))).toMatchObject({
      answer: undefined,
    });
    const failing = new Guard({ provider: broken, ...shadow, onBackendFailure: "deny" });
    expect(await failing.check(request())).toMatchObject({ answer: undefined });
  });

  it("names the limiter whose function says neither allow nor deny while the backend is away", async () => {
    const broken = { ...provider(), absolute: { inc: () => Promise.reject(new TypeError("socket")) } } as never;
    const guard = new Guard({ provider: broken, rate, name: "login", onBackendFailure: () => "pass" as never });
    const wrong = expect.stringMatching(/^login\.onBackendFailure: its function returned "pass", expected "allow" or/);
    await expect(guard.check(request())).rejects.toThrow(expect.objectContaining({ message: wrong }));
  });

  it("doesn't take a mistake for a backend's failure", async () => {
    const fail = () => Promise.reject(new TrypemaError("INVALID_KEY", "key: got a mistake"));
    const broken = { ...provider(), absolute: { inc: fail } } as never;
    const check = async () => new Guard({ provider: broken, rate }).check(request());
    await expect(check()).rejects.toMatchObject({ code: "INVALID_KEY" });
  });

  it("takes what is no error of ours for a backend's failure", async () => {
    const broken = { ...provider(), absolute: { inc: () => Promise.reject(new TypeError("socket")) } } as never;
    const onDecision = vi.fn();
    expect(await new Guard({ provider: broken, rate, onDecision }).check(request())).toMatchObject({
      answer: undefined,
    });
    expect(onDecision.mock.calls[0]![0]).toMatchObject({ outcome: "unavailable", error: { message: "socket" } });
  });

  it.each([
    { status: 999 },
    { status: 204 },
    { status: 205 },
    { status: 304 },
    { status: 429.5 },
    { status: "429" },
    { body: 7 },
    { headers: { "x-a": "b\r\nx-c: d" } },
    { headers: { "x a": "b" } },
    { headers: { "x-a": "☂" } },
  ])("gives the default answer where a responder's can't be sent: %o", async (own) => {
    const onError = vi.fn();
    const respond = () => own as never;
    const guard = new Guard({ provider: provider(), rate: ONE, cost: 2, respond, onError });
    const { answer } = await guard.check(request());
    expect(answer).toMatchObject({ status: 429, body: expect.stringMatching(/quota-exceeded/) });
    expect(answer!.fields.join()).not.toContain("x-");
    expect(onError.mock.calls).toMatchObject([[{ code: "INVALID_OPTION" }, "callback", "default"]]);
  });

  it("sends no Retry-After when waiting is of no use", async () => {
    const verdict = await new Guard({ provider: provider(), rate: ONE, cost: 2 }).check(request());
    expect(verdict.answer!.fields.slice(0, 4)).toEqual([
      "ratelimit-policy",
      '"default";q=1;w=10',
      "ratelimit",
      '"default";r=1',
    ]);
  });
});

describe("several limiters of a guard", () => {
  /** What the client is told of what is left. */
  const stateOf = (verdict: Verdict) => {
    const { answer, fields } = verdict;
    const told = answer?.fields ?? fields;
    return told[told.indexOf("ratelimit") + 1];
  };

  it("are one take: where one denies a request, none counts it, and all that were asked are told of", async () => {
    const shared = provider();
    const decided = vi.fn();
    const onDecision = vi.fn();
    const metrics = { decided, failed() {} };
    const limiters = [
      { name: "first", limit: 5, onDecision },
      { name: "second", limit: 1, onDecision },
      { name: "third", limit: 1, windowMs: 60_000, onDecision },
    ];
    const guard = new Guard<object>({ provider: shared, limiters, metrics });
    await guard.check(request());
    const verdict = await guard.check(request());
    expect(stateOf(verdict)).toBe('"first";r=4, "second";r=0;t=10, "third";r=0;t=60');
    expect(verdict.answer!.fields.slice(0, 2)).toEqual(["retry-after", "60"]);
    expect(JSON.parse(verdict.answer!.body)["violated-policies"]).toEqual(["second", "third"]);
    expect(decided.mock.calls.slice(3).map(([{ limiter, outcome }]) => `${limiter} ${outcome}`)).toEqual([
      "first allowed",
      "second rejected",
      "third rejected",
    ]);
    expect(onDecision).toHaveBeenCalledTimes(6);
    expect(limiterOf(shared, "first").get("203.0.113.7").total).toBe(1);
  });

  it("tell of the one that denies in a form that has room for one, even where another one has less left", async () => {
    const limiters = [
      { name: "small", limit: 2 },
      { name: "large", limit: 5, cost: 3 },
    ];
    const guard = new Guard<object>({ provider: provider(), limiters, headers: "x-ratelimit" });
    await guard.check(request());
    const { answer } = await guard.check(request());
    expect(answer!.fields.join(" ")).toContain("x-ratelimit-limit 5 x-ratelimit-remaining 2");
  });

  it("ask nobody where one of them finds no key or admits nobody", async () => {
    for (const denying of [{ key: () => undefined, limit: 5 }, { limit: "none" as const }]) {
      const onDecision = vi.fn();
      const limiters = [
        { name: "first", limit: 5, onDecision },
        { name: "second", ...denying, onDecision },
        { name: "third", limit: 5, onDecision },
      ];
      await new Guard<object>({ provider: provider(), limiters }).check(request());
      expect(onDecision.mock.calls.map(([{ limiter, admitted }]) => [limiter, admitted])).toEqual([["second", false]]);
    }
  });

  it("aren't asked about what they skip or what costs nothing, and the others decide alone", async () => {
    const onDecision = vi.fn();
    const limiters = [
      { name: "skipped", limit: 1, skip: () => true, onDecision },
      { name: "free", limit: 1, cost: () => 0, onDecision },
      { name: "none", limit: 1, key: () => null, onMissingKey: "skip" as const },
      { name: "asked", limit: 2, onDecision },
    ];
    const guard = new Guard<object>({ provider: provider(), limiters });
    const verdicts = [await guard.check(request()), await guard.check(request()), await guard.check(request())];
    expect(verdicts.map(stateOf)).toEqual(['"asked";r=1;t=10', '"asked";r=0;t=10', '"asked";r=0;t=10']);
    expect(onDecision).toHaveBeenCalledTimes(3);
  });

  it("give back what they took together when a later guard denies the request", async () => {
    const shared = provider();
    const limiters = [
      { name: "first", limit: 5, cost: 2 },
      { name: "second", limit: 5, windowMs: 60_000 },
    ];
    const earlier = new Guard<object>({ provider: shared, limiters });
    const later = new Guard<object>({ provider: shared, name: "later", limit: 1, cost: 2 });
    const from = { ...request(), isAnswered: false };
    await earlier.check(from);
    expect(stateOf(await later.check(from))).toBe('"first";r=5, "second";r=5, "later";r=1');
    for (const name of ["first", "second"]) expect(limiterOf(shared, name).get("203.0.113.7").total).toBe(0);
  });

  it("decide each by its own policy when the provider fails", async () => {
    const redis = createFakeRedisProvider({ windowMs: WINDOW_MS, clock: manualClock() });
    redis.redis = "down";
    const outcomes: string[] = [];
    const onDecision = ({ limiter, outcome, admitted }: DecisionEvent<object>) =>
      outcomes.push(`${limiter} ${outcome} ${admitted}`);
    const limiters = [
      { name: "allow", limit: 1, onDecision },
      { name: "local", limit: 1, blockMs: 60_000, onBackendFailure: "local" as const, onDecision },
    ];
    const guard = new Guard<object>({ provider: redis, limiters });
    expect(await guard.check(request())).toMatchObject({ answer: undefined });
    const { answer } = await guard.check(request());
    expect(answer!.fields.slice(0, 2)).toEqual(["retry-after", "60"]);
    expect(outcomes).toEqual([
      "allow unavailable true",
      "local allowed true",
      "allow unavailable true",
      "local blocked false",
    ]);
  });

  it("get back what a Local provider counted in place of Redis, when the policy of a later one denies", async () => {
    const redis = createFakeRedisProvider({ windowMs: WINDOW_MS, clock: manualClock() });
    redis.redis = "down";
    const limiters = [
      { name: "local", limit: 1, onBackendFailure: "local" as const },
      {
        name: "deny",
        limit: 1,
        onBackendFailure: "deny" as const,
        skip: ({ method }: HttpRequest) => method === "GET",
      },
    ];
    const guard = new Guard<object>({ provider: redis, limiters });
    expect(await guard.check({ ...request(), method: "POST" })).toMatchObject({ answer: { status: 503 } });
    expect(await guard.check(request())).toMatchObject({ answer: undefined });
    expect(await guard.check(request())).toMatchObject({ answer: { status: 429 } });
  });

  it("settle afterwards what those count for that say so, and leave the others, and those that skip a request", async () => {
    const shared = provider();
    const onError = vi.fn();
    const limiters = [
      { name: "all", limit: 5 },
      { name: "skips", limit: 5, skip: () => true, uncounted: "failed" as const },
      { name: "failures", limit: 5, uncounted: "failed" as const },
      { name: "successes", limit: 5, uncounted: "successful" as const },
    ];
    const guard = new Guard<object>({ provider: shared, limiters, onError });
    const totals = () => limiters.map(({ name }) => limiterOf(shared, name).get("203.0.113.7").total);
    for (const [status, expected] of [
      [400, [1, 0, 0, 1]],
      [399, [2, 0, 1, 1]],
    ] as const) {
      const verdict = await guard.check(request());
      verdict.settle!({ status, header: () => undefined });
      await expect.poll(totals).toEqual(expected);
    }
    expect(onError).not.toHaveBeenCalled();
  });

  it("are measured from the beginning of a check, one alone or several", async () => {
    const startMs = performance.now();
    const now = vi.spyOn(performance, "now").mockImplementation(() => startMs + 1_000_000);
    const decided = vi.fn();
    const metrics = { decided, failed() {} };
    const limiter = { name: "one", limit: 5 };
    for (const limiters of [[limiter], [limiter, { ...limiter, name: "other" }]]) {
      await new Guard<object>({ provider: provider(), limiters, metrics }).check(request());
    }
    now.mockRestore();
    expect(decided.mock.calls.map(([{ durationMs }]) => durationMs)).toEqual([0, 0, 0]);
  });

  it("decide as one by the provider's own policy too, and give back to where that counted", async () => {
    const redis = createFakeRedisProvider({ windowMs: WINDOW_MS, clock: manualClock(), onFailure: "local" });
    redis.redis = "down";
    const limiters = [
      { name: "first", limit: 3, uncounted: "failed" as const },
      { name: "second", limit: 1, uncounted: "failed" as const },
    ];
    const guard = new Guard<object>({ provider: redis, limiters });
    for (let i = 0; i < 3; i++) {
      const verdict = await guard.check(request());
      expect(stateOf(verdict)).toBe('"first";r=2;t=10, "second";r=0;t=10');
      verdict.settle!({ status: 500, header: () => undefined });
    }
    await guard.check(request());
    expect(stateOf(await guard.check(request()))).toMatch(/^"first";r=2, "second";r=0;t=10$/);
  });
});

describe("a limiter with options that providers have", () => {
  it("counts where createLimits of the same limit does, so that a key can be unblocked by hand", async () => {
    const shared = provider();
    const login = { limit: 1, windowMs: 900_000, blockMs: 3_600_000 };
    const guard = new Guard<object>({ provider: shared, name: "login", ...login, key: () => "ann" });
    await guard.check(request());
    expect((await guard.check(request())).answer!.fields.slice(0, 2)).toEqual(["retry-after", "3600"]);
    const limiter = createLimits(shared, { login }).limiter("login");
    expect(limiter.get("ann").total).toBe(1);
    limiter.unblock("ann");
    limiter.delete("ann");
    expect(await guard.check(request())).toMatchObject({ answer: undefined });
  });

  it("has the provider's window and buckets except for those of its own", () => {
    const shared = createLocalProvider({ windowMs: 60_000, bucketMs: 10_000, clock: manualClock() });
    const limiters = [
      { name: "a", limit: 5 },
      { name: "b", limit: 5, bucketMs: 1_000 },
      { name: "c", limit: 5, windowMs: 50 },
    ];
    new Guard<object>({ provider: shared, limiters }).check(request());
    const limits = createLimits(shared, {
      a: { limit: 5, windowMs: 60_000, bucketMs: 10_000 },
      b: { limit: 5, windowMs: 60_000, bucketMs: 1_000 },
      c: { limit: 5, windowMs: 50, bucketMs: 50 },
    });
    for (const name of ["a", "b", "c"] as const) expect(limits.limiter(name).get("203.0.113.7").total).toBe(1);
  });

  it("is refused where a provider of somebody else's doesn't have what it takes", () => {
    const { absolute, suppressed, windowMs } = provider();
    const { inc } = absolute;
    const bare = { absolute: { inc }, suppressed, windowMs } as never;
    expect(() => new Guard({ provider: bare, limit: 1, windowMs: 5 })).toThrow(/this provider has no withWindow/);
    expect(() => new Guard({ provider: bare, limit: 1, blockMs: 5 })).toThrow(/this provider has no method block/);
  });

  it("keeps a hundred windows of a function as they are, and rounds further ones up to a power of two", async () => {
    const policyOf = async (guard: Guard<object>, windowMs: number) => {
      const header = () => String(windowMs);
      return (await guard.check({ ...request(), header })).fields[1];
    };
    const guard = new Guard<object>({
      provider: provider(),
      limit: 5,
      windowMs: ({ header }) => Number(header("x-window-ms")),
      key: () => "k",
    });
    for (let i = 1; i <= 100; i++) expect(await policyOf(guard, i * 1_000)).toBe(`"default";q=5;w=${i}`);
    for (const [windowMs, keptSeconds] of [
      [100_000, 100],
      [100_001, 132],
      [131_000, 132],
      [131_072, 132],
      [200_000, 263],
      [Number.MAX_SAFE_INTEGER, Math.ceil(Number.MAX_SAFE_INTEGER / 1_000)],
    ] as const) {
      expect(await policyOf(guard, windowMs)).toBe(`"default";q=5;w=${keptSeconds}`);
    }
    for (const wrong of [0, Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      await expect(policyOf(guard, wrong)).rejects.toMatchObject({ code: "INVALID_OPTION" });
    }
  });

  it("with windows of a function is checked as far as it can be when it is made", () => {
    const shared = { provider: provider(), windowMs: () => 1_000 };
    expect(new Guard<object>({ ...shared, rate: perSecond(0.001) })).toBeDefined();
    expect(() => new Guard<object>({ ...shared, limit: 0.5 })).toThrow(/limit/);
    expect(() => new Guard<object>({ ...shared, rate: Number.NaN as Rate })).toThrow(/rate/);
    expect(() => new Guard<object>({ ...shared, limit: 1, bucketMs: 0 })).toThrow(/bucketMs/);
    expect(() => new Guard<object>({ ...shared, limit: 1, strategy: "suppressed", blockMs: 5 })).toThrow(/blockMs/);
    const { absolute, suppressed, windowMs } = provider();
    const bare = { absolute: { inc: absolute.inc }, suppressed, windowMs } as never;
    expect(() => new Guard<object>({ ...shared, provider: bare, limit: 1 })).toThrow(/no withWindow/);
  });

  it("notices another limit of its name in one window of a function, and not in another", async () => {
    const codes: string[] = [];
    const options = { provider: provider(), key: () => "k", onNotice: ({ code }: Notice) => codes.push(code) };
    const windowMs = ({ path }: HttpRequest) => (path === "/long" ? 20_000 : 5_000);
    const guard = new Guard<object>({ ...options, limit: 5, windowMs });
    await guard.check({ ...request(), path: "/long" });
    new Guard<object>({ ...options, limit: 7, windowMs: 20_000 });
    await guard.check(request());
    expect(codes).toEqual([]);
    await guard.check({ ...request(), path: "/long" });
    expect(codes).toEqual(["NAME_SHARED"]);
  });

  it("stays denied where its key can't be blocked", async () => {
    const { absolute, ...rest } = provider();
    const block = () => Promise.reject(new TrypemaError("BACKEND_TIMEOUT", "slow"));
    const slow = { ...rest, absolute: { inc: absolute.inc.bind(absolute), block } } as never;
    const guard = new Guard({ provider: slow, limit: 1, blockMs: 60_000 });
    await guard.check(request());
    const { answer } = await guard.check(request());
    expect(answer!.fields.slice(0, 2)).toEqual(["retry-after", "10"]);
  });

  it.each([0, 1.5, "5", undefined, Number.POSITIVE_INFINITY])(
    "takes %o from a function for an error of the request, and not for a limit",
    async (limit) => {
      const shared = provider();
      const limiters = [
        { name: "first", limit: 1 },
        { name: "second", limit: async () => limit as number },
      ];
      const check = async () => new Guard<object>({ provider: shared, limiters }).check(request());
      await expect(check()).rejects.toThrow(/second/);
      expect(limiterOf(shared, "first").get("203.0.113.7").total).toBe(0);
    },
  );
});

describe("a reservation", () => {
  const tokens = perSecond(100);

  async function reserved(limits: Partial<RateLimitOptions<object>> = {}, clock?: () => number) {
    const shared = provider(clock);
    const from = request();
    await new Guard({ provider: shared, rate: tokens, cost: 800, ...limits } as RateLimitOptions<object>).check(from);
    return { shared, reservation: reservationOf(from.raw) };
  }

  it("can be settled, up and down, but never for more than it took", async () => {
    const { shared, reservation } = await reserved();
    const total = () => limiterOf(shared).get("203.0.113.7").total;
    limiterOf(shared).inc("203.0.113.7", tokens, 50);
    await reservation.adjust(-150);
    expect(total()).toBe(700);
    await reservation.adjust(50);
    expect(total()).toBe(750);
    await reservation.adjust(-10_000);
    expect(total()).toBe(50);
    expect(reservation.decisions).toMatchObject([{ limiter: "default", decision: { allowed: true, remaining: 200 } }]);
  });

  it("throws for what is no integer, at once, so that nothing is rejected unheard", async () => {
    const { reservation } = await reserved();
    expect(() => reservation.adjust(Number.NaN)).toThrow(/delta: got NaN/);
    expect(() => reservation.adjust(0.5)).toThrow(/delta: got 0.5/);
  });

  it("wants a name where there are several limiters", async () => {
    const limiters = [
      { name: "requests", rate: ONE },
      { name: "tokens", rate: tokens, cost: 800 },
    ];
    const shared = provider();
    const from = request();
    new Guard({ provider: shared, limiters }).check(from);
    expect(() => reservationOf(from.raw).adjust(1)).toThrow(/name one: requests, tokens/);
    await reservationOf(from.raw).adjust(-100, "tokens");
    expect(limiterOf(shared, "tokens").get("203.0.113.7").total).toBe(700);
    expect(limiterOf(shared, "requests").get("203.0.113.7").total).toBe(1);
  });

  it("refuses the name of no limiter of the request, and takes that of one which has skipped it", async () => {
    const skipped = { name: "tokens", rate: tokens, skip: () => true };
    const shared = provider();
    const from = request();
    new Guard({ provider: shared, limiters: [{ name: "requests", rate: ONE }, skipped] }).check(from);
    const reservation = reservationOf(from.raw);
    expect(() => reservation.adjust(5, "token")).toThrow(
      expect.objectContaining({
        code: "INVALID_OPTION",
        message: expect.stringMatching(/^adjust: got "token", expected a limiter of the request: requests, tokens/),
      }),
    );
    await reservation.adjust(5, "tokens");
    await reservation.adjust(2, "requests");
    expect(limiterOf(shared, "requests").get("203.0.113.7").total).toBe(3);
  });

  it("gives nothing back once the window has passed", async () => {
    const now = vi.spyOn(performance, "now").mockReturnValue(1e9);
    try {
      const { shared, reservation } = await reserved({}, () => performance.now());
      now.mockReturnValue(1e9 + WINDOW_MS);
      limiterOf(shared).inc("203.0.113.7", tokens, 500);
      await reservation.adjust(-800);
      expect(limiterOf(shared).get("203.0.113.7").total).toBe(500);
    } finally {
      now.mockRestore();
    }
  });

  it("reports a backend that can't take it, and never rejects", async () => {
    const { absolute, ...others } = provider();
    const adjust = () => Promise.reject(new TrypemaError("BACKEND_TIMEOUT", "slow"));
    const inc = absolute.inc.bind(absolute);
    const onError = vi.fn();
    const { reservation } = await reserved({ provider: { ...others, absolute: { inc, adjust } } as never, onError });
    await reservation.adjust(5);
    expect(onError.mock.calls).toMatchObject([[{ code: "BACKEND_TIMEOUT" }, "settlement", "default"]]);
  });
});

describe("metrics", () => {
  async function use(metrics: RateLimitOptions["metrics"] & {}): Promise<void> {
    const guard = new Guard({ provider: provider(), name: "api", rate: ONE, metrics });
    await guard.check(request("203.0.113.7"));
    await guard.check(request("203.0.113.7"));
    await guard.check(request(""));
    const skipping = { name: "api", rate: ONE, skip: () => true };
    await new Guard({ provider: provider(), ...skipping, metrics }).check(request());
    const fail = () => Promise.reject(new TrypemaError("BACKEND_TIMEOUT", "slow"));
    const broken = { ...provider(), absolute: { inc: fail } } as never;
    await new Guard({ provider: broken, name: "api", rate: ONE, metrics }).check(request());
    const throwing = () => {
      throw new Error("boom");
    };
    await expect(
      new Guard({ provider: provider(), name: "bad", rate: throwing, metrics }).check(request()),
    ).rejects.toThrow();
  }

  it("are text that Prometheus reads, without a client's key", async () => {
    const metrics = prometheusMetrics();
    await use(metrics);
    const lines = metrics.text().split("\n");
    const labels = (outcome: string, admitted: boolean, degraded = false) =>
      `limiter="api",strategy="absolute",outcome="${outcome}",admitted="${admitted}",shadow="false",degraded="${degraded}"`;
    expect(lines).toEqual(
      expect.arrayContaining([
        "# TYPE trypema_http_decisions_total counter",
        `trypema_http_decisions_total{${labels("allowed", true)}} 1`,
        `trypema_http_decisions_total{${labels("rejected", false)}} 1`,
        `trypema_http_decisions_total{${labels("missing-key", false)}} 1`,
        `trypema_http_decisions_total{${labels("skipped", true)}} 1`,
        `trypema_http_decisions_total{${labels("unavailable", true, true)}} 1`,
        'trypema_http_failures_total{limiter="api",kind="backend"} 1',
        'trypema_http_failures_total{limiter="bad",kind="callback"} 1',
        "# TYPE trypema_http_decision_duration_seconds histogram",
        'trypema_http_decision_duration_seconds_bucket{limiter="api",le="+Inf"} 4',
        'trypema_http_decision_duration_seconds_count{limiter="api"} 4',
      ]),
    );
    const sample = /^[a-z_]+\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\} [\d.e+-]+$/;
    for (const line of lines.slice(0, -1)) if (!line.startsWith("#")) expect(line).toMatch(sample);
    expect(metrics.text()).not.toContain("203.0.113");
  });

  it("go to OpenTelemetry, without a client's key", async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] });
    await use(openTelemetryMetrics({ meter: meters.getMeter("test") }));
    await meters.forceFlush();
    const recorded = exporter.getMetrics()[0]!.scopeMetrics[0]!.metrics;
    const points = (name: string) =>
      recorded
        .find(({ descriptor }) => descriptor.name === name)!
        .dataPoints.map(({ attributes, value }) => ({ ...attributes, value }));
    const rest = { limiter: "api", strategy: "absolute", shadow: false };
    expect(points("trypema.http.decisions")).toEqual([
      { ...rest, outcome: "allowed", admitted: true, degraded: false, value: 1 },
      { ...rest, outcome: "rejected", admitted: false, degraded: false, value: 1 },
      { ...rest, outcome: "missing-key", admitted: false, degraded: false, value: 1 },
      { ...rest, outcome: "skipped", admitted: true, degraded: false, value: 1 },
      { ...rest, outcome: "unavailable", admitted: true, degraded: true, value: 1 },
    ]);
    expect(points("trypema.http.failures")).toEqual([
      { limiter: "api", kind: "backend", value: 1 },
      { limiter: "bad", kind: "callback", value: 1 },
    ]);
    expect(points("trypema.http.decision.duration")).toMatchObject([{ limiter: "api", value: { count: 4 } }]);
    expect(JSON.stringify(recorded)).not.toContain("203.0.113");
    await meters.shutdown();
  });

  it("go to the OpenTelemetry SDK that is registered, also when it is registered later, or another one", async () => {
    const early = openTelemetryMetrics();
    await use(early);
    for (const uses of [1, 2]) {
      const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
      const meters = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter })] });
      metricsApi.setGlobalMeterProvider(meters);
      for (let i = 0; i < uses; i++) await use(early);
      await meters.forceFlush();
      metricsApi.disable();
      const [recorded] = exporter.getMetrics()[0]!.scopeMetrics;
      expect(recorded?.scope.name).toBe("trypema");
      expect(recorded?.metrics.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints[0]!.value])).toEqual([
        ["trypema.http.decisions", uses],
        ["trypema.http.failures", uses],
        ["trypema.http.decision.duration", expect.objectContaining({ count: 4 * uses })],
      ]);
      await meters.shutdown();
    }
  });
});
