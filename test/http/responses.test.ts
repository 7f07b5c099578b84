// What handlers of fetch and Hono return and throw: responses that can't be changed, that aren't the handler's to make,
// and that are none.

import { createContext, runInContext } from "node:vm";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { HTTPException } from "hono/http-exception";
import { createLocalProvider, perSecond } from "trypema";
import { rateLimit as fetchLimit } from "trypema/fetch";
import { rateLimit as honoLimit } from "trypema/hono";
import { type GuardOptions, type HttpResponse, type LimiterDefinition, reservationOf } from "trypema/http";
import { manualClock } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { limiterOf } from "./limiter-of.ts";

const ONE = perSecond(0.1);
const TEN = perSecond(1);
/** Its time stands still, so that what is told of a window is the same on a slow machine. */
const provider = () => createLocalProvider({ windowMs: 10_000, clock: manualClock() });
type OneLimiter = GuardOptions & LimiterDefinition;
const limits = (rate = ONE): OneLimiter => ({ provider: provider(), rate, key: () => "k" });
const request = () => new Request("http://localhost/");
const total = (options: OneLimiter) => limiterOf(options.provider).get("k") as { total: number };

/** What a handler of fetch answers with that returns or throws `outcome`. */
function limited(outcome: unknown, options = limits()) {
  return fetchLimit(options, () => outcome as Response)(request());
}

describe("responses whose headers can't be changed", () => {
  const fixed = () => Response.error();
  const limits = (): OneLimiter => ({ provider: provider(), rate: ONE, key: () => "k" });

  it("get them from a fetch handler in a copy", async () => {
    const immutable = await fetch("data:text/plain,hello");
    expect(() => immutable.headers.set("a", "b")).toThrow();
    const handler = fetchLimit(limits(), () => immutable);
    const response = await handler(new Request("http://localhost"));
    expect(response.headers.get("ratelimit")).toBe('"default";r=0;t=10');
    expect(await response.text()).toBe("hello");
    expect(fixed().type).toBe("error");
  });

  it("and from Hono", async () => {
    const app = new Hono().use(honoLimit(limits())).get("/", () => fetch("data:text/plain,hello"));
    const response = await app.request("/");
    expect(response.headers.get("ratelimit")).toBe('"default";r=0;t=10');
    expect(await response.text()).toBe("hello");
  });
});

describe("what isn't a response to add to passes a fetch handler as it is", () => {
  it("a websocket that is passed on, whose headers can't be changed and which can't be copied", async () => {
    const headers = new Headers({ upgrade: "websocket" });
    const set = () => {
      throw new TypeError("Can't modify immutable headers.");
    };
    Object.defineProperty(headers, "set", { value: set });
    const upgraded = { status: 101, headers, body: null, webSocket: {} };
    Object.setPrototypeOf(upgraded, Response.prototype);
    expect(await limited(upgraded)).toBe(upgraded);
  });

  it("a network error", async () => {
    const error = Response.error();
    expect(await limited(error)).toBe(error);
  });

  it("nothing, on Bun after an upgrade", async () => {
    const options: OneLimiter = { ...limits(), uncounted: "successful" };
    expect(await limited(undefined, options)).toBe(undefined);
    expect(total(options).total).toBe(0);
  });

  it("a response of another realm, unless its headers can be set", async () => {
    const script = `(set) => ({ status: 200, body: "theirs", headers: { get: () => null, set } })`;
    const make = runInContext(script, createContext());
    const fixed = make(() => {
      throw new TypeError("immutable");
    });
    expect(await limited(fixed)).toBe(fixed);
    expect(fixed.body).toBe("theirs");
    const set: string[] = [];
    const open = make((name: string, value: string) => set.push(name, value));
    expect(await limited(open)).toBe(open);
    expect(set).toEqual(["ratelimit-policy", '"default";q=1;w=10', "ratelimit", '"default";r=0;t=10']);
  });

  it("and a frozen request is limited, with a reservation of its own", async () => {
    const handler = fetchLimit(limits(TEN), async (seen) => {
      await reservationOf(seen).adjust(2);
      return Object.freeze(new Response("hello"));
    });
    const response = await handler(Object.freeze(request()));
    expect(response.headers.get("ratelimit")).toBe('"default";r=9;t=10');
    expect((await handler(Object.freeze(request()))).headers.get("ratelimit")).toBe('"default";r=6;t=10');
  });
});

describe("what a handler throws", () => {
  const thrownBy = async (outcome: unknown, options: OneLimiter, onHono = false) => {
    const handler = () => {
      throw outcome;
    };
    const app = new Hono().use(honoLimit(options)).get("/", handler);
    const answer = onHono ? async () => app.request("/") : () => fetchLimit(options, handler)(request());
    return answer().then(
      () => Promise.reject(new Error("nothing was thrown")),
      (thrown: unknown) => thrown,
    );
  };

  it.each([false, true])("is itself, with the fields where it is a Response (Hono: %s)", async (onHono) => {
    const response = new Response("", { status: 401 });
    expect(await thrownBy(response, limits(), onHono)).toBe(response);
    expect(response.headers.get("ratelimit")).toBe('"default";r=0;t=10');
    const none = "a text";
    expect(await thrownBy(none, limits(), onHono)).toBe(none);
  });

  it("may be an error with headers, which has them too", async () => {
    const error = Object.assign(new Error("no"), { headers: new Headers({ "retry-after": "7" }) });
    expect(await thrownBy(error, limits())).toBe(error);
    expect([...error.headers.keys()]).toEqual(["ratelimit", "ratelimit-policy", "retry-after"]);
    const frozen = Object.freeze(new Error("frozen"));
    expect(await thrownBy(frozen, limits())).toBe(frozen);
  });

  it.each([false, true])("is given back as what the client gets for it (Hono: %s)", async (onHono) => {
    for (const [outcome, uncounted, left] of [
      [new Response("", { status: 401 }), "failed", 0],
      [new Response("", { status: 302 }), "failed", 1],
      [new Response("", { status: 302 }), "successful", 0],
      ["a text", "failed", 0],
      [{ status: 404 }, ({ status }: HttpResponse) => status === 404, 0],
      [{ statusCode: 404 }, ({ status }: HttpResponse) => status === 404, 0],
    ] as const) {
      const options: OneLimiter = { ...limits(), uncounted };
      await thrownBy(outcome, options, onHono);
      expect(total(options).total).toBe(left);
    }
    const options: OneLimiter = { ...limits(), uncounted: "failed" };
    await thrownBy(new Error("boom"), options).catch(() => {});
    expect(total(options).total).toBe(0);
  });

  it("on Hono has the fields in what its error handlers answer", async () => {
    const app = new Hono().use(honoLimit(limits(TEN)));
    app.get("/", () => {
      throw new HTTPException(403);
    });
    const response = await app.request("/");
    expect([response.status, response.headers.get("ratelimit")]).toEqual([403, '"default";r=9;t=10']);
  });
});

it("one Response that answers all requests says to each where it stands, and keeps what is its own", async () => {
  const only = new Response(null, { status: 404, headers: { "ratelimit-policy": "mine" } });
  const handler = fetchLimit({ ...limits(TEN), name: "b" }, () => only);
  const stacked = fetchLimit({ ...limits(TEN), name: "a" }, handler);
  const told = async () => {
    const { headers } = await stacked(request());
    return [headers.get("ratelimit-policy"), headers.get("ratelimit")];
  };
  expect(await told()).toEqual(["mine", '"a";r=9;t=10, "b";r=9;t=10']);
  expect(await told()).toEqual(["mine", '"a";r=8;t=10, "b";r=8;t=10']);
});

it.each(["fetch", "Hono"])(
  "a denial of a request that a handler of %s made itself says how long to wait",
  async (outer) => {
    const inner = fetchLimit({ ...limits(), name: "inner" }, () => new Response("hello"));
    const options = { ...limits(TEN), name: "outer" };
    const app = new Hono().use(honoLimit(options)).get("/", ({ req }) => inner(req.raw));
    const handler = outer === "Hono" ? app.fetch : fetchLimit(options, (seen: Request) => inner(new Request(seen.url)));
    await handler(request());
    const { status, headers } = await handler(request());
    expect([status, headers.get("ratelimit")]).toEqual([429, `"inner";r=0;t=${headers.get("retry-after")}`]);
    expect(headers.get("ratelimit-policy")).toBe('"inner";q=1;w=10');
  },
);

it("what a handler answers in place of an inner limiter's denial says where the client stands with both", async () => {
  const inner = fetchLimit({ ...limits(), name: "inner" }, () => new Response("fresh"));
  const handler = fetchLimit({ ...limits(TEN), name: "outer" }, async (seen: Request) => {
    const { ok } = await inner(seen);
    return new Response(ok ? "fresh" : "stale");
  });
  await handler(request());
  expect((await handler(request())).headers.get("ratelimit")).toMatch(/^"outer";r=9, "inner";r=0;t=\d+$/);
});

describe("fields exposed to scripts of other origins", () => {
  const ask = async (options: Partial<OneLimiter>) => {
    const app = new Hono();
    app.use(cors({ origin: "https://app.example", exposeHeaders: ["X-Total", "Retry-After"] }));
    app.use(honoLimit({ ...limits(), ...options } as OneLimiter));
    app.get("/", (context) => context.text("hello"));
    const headers = { origin: "https://app.example" };
    return [await app.request("/", { headers }), await app.request("/", { headers })];
  };

  it("stand beside those that the application exposes, also of a denial", async () => {
    const responses = await ask({ exposeHeaders: true });
    expect(responses.map(({ status }) => status)).toEqual([200, 429]);
    for (const { headers } of responses) {
      expect(headers.get("access-control-allow-origin")).toBe("https://app.example");
      expect(headers.get("access-control-expose-headers")).toBe("X-Total, Retry-After, ratelimit-policy, ratelimit");
    }
  });

  it.each([
    ["draft-6", "ratelimit-policy, ratelimit-limit, ratelimit-remaining, ratelimit-reset"],
    ["x-ratelimit", "x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset"],
    ["none", ""],
  ] as const)("are those of the form %s", async (headers, names) => {
    for (const response of await ask({ exposeHeaders: true, headers })) {
      const exposed = response.headers.get("access-control-expose-headers");
      expect(exposed).toBe(["X-Total", "Retry-After", ...(names === "" ? [] : [names])].join(", "));
      const told = [...response.headers.keys()].filter((name) => /ratelimit/.test(name));
      expect(told.sort()).toEqual(names.split(", ").filter(Boolean).sort());
    }
  });
});
