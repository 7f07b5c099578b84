import { createLocalProvider, perSecond } from "trypema";
import { afterEach, expect, it } from "vitest";
import { type Decide, type DemoServer, startServer } from "./server.ts";

let server: DemoServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(decide: Decide): Promise<string> {
  server = await startServer(decide);
  return server.url;
}

/** One request in ten seconds, on a clock that stands still. */
function limitedTo1(): Decide {
  const provider = createLocalProvider({ windowMs: 10_000, clock: () => 0, random: () => 0 });
  return (strategy, client) => provider[strategy].inc(client, perSecond(0.1));
}

it("the first request gets its answer, and the next one says when to come back", async () => {
  const url = await start(limitedTo1());
  const first = await fetch(`${url}/absolute`);
  expect([first.status, await first.text()]).toEqual([200, "hello\n"]);
  const second = await fetch(`${url}/absolute`);
  expect(second.status).toBe(429);
  expect(second.headers.get("retry-after")).toBe("10");
  expect(await second.json()).toEqual({
    outcome: "rejected",
    limit: 1,
    remaining: 0,
    retryAfterMs: 10_000,
    suppressionFactor: 1,
  });
});

it("a part of a second to wait is rounded up, so that a client that obeys is never early", async () => {
  let nowMs = 0;
  const provider = createLocalProvider({ windowMs: 10_000, clock: () => nowMs });
  const url = await start((strategy, client) => provider[strategy].inc(client, perSecond(0.1)));
  await fetch(`${url}/absolute`);
  nowMs = 9_900;
  expect((await fetch(`${url}/absolute`)).headers.get("retry-after")).toBe("1");
});

it("each route has the strategy of its name, and they do not share counts", async () => {
  const url = await start(limitedTo1());
  await fetch(`${url}/absolute`);
  expect((await fetch(`${url}/suppressed`)).status).toBe(200);
  const denied = await fetch(`${url}/suppressed?a=query`);
  expect(denied.status).toBe(429);
  expect(await denied.json()).toMatchObject({ outcome: "suppressed" });
});

it("a decision may be a promise, as that of a remote provider is", async () => {
  const decide = limitedTo1();
  const url = await start(async (strategy, client) => decide(strategy, client));
  expect((await fetch(`${url}/absolute`)).status).toBe(200);
  expect((await fetch(`${url}/absolute`)).status).toBe(429);
});

it("there is no Retry-After when no wait would help", async () => {
  const provider = createLocalProvider({ windowMs: 10_000 });
  const url = await start((strategy, client) => provider[strategy].inc(client, perSecond(0.1), 2));
  const denied = await fetch(`${url}/absolute`);
  expect([denied.status, denied.headers.get("retry-after")]).toEqual([429, null]);
});

it("a limiter that throws or rejects is answered with 500, and the server lives on", async () => {
  let calls = 0;
  const url = await start(() => {
    const error = new Error("backend is away");
    if (calls++ === 0) throw error;
    return Promise.reject(error);
  });
  for (let i = 0; i < 3; i++) {
    const response = await fetch(`${url}/suppressed`);
    expect([response.status, await response.text()]).toEqual([500, "the limiter failed: backend is away\n"]);
  }
});

it("the root explains itself and other paths are not found, neither at the cost of the limit", async () => {
  const url = await start(limitedTo1());
  expect(await (await fetch(url)).text()).toContain("/absolute and /suppressed");
  expect((await fetch(`${url}/other`)).status).toBe(404);
  expect((await fetch(`${url}/absolute`)).status).toBe(200);
});

it("a port that is taken rejects", async () => {
  const url = new URL(await start(limitedTo1()));
  await expect(startServer(limitedTo1(), Number(url.port))).rejects.toMatchObject({ code: "EADDRINUSE" });
});

it("a connection that is idle is left open, so that no request meets its end", async () => {
  const response = await fetch(`${await start(limitedTo1())}/absolute`);
  // By default it would say after how many seconds it closes the connection.
  expect(response.headers.get("connection")).toBe("keep-alive");
  expect(response.headers.get("keep-alive")).toBe(null);
});

it("closing does not wait for an answer that never comes", async () => {
  let arrived = () => {};
  const arrival = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const hanging = await startServer(() => {
    arrived();
    return new Promise(() => {});
  });
  const unanswered = expect(fetch(`${hanging.url}/absolute`)).rejects.toThrow();
  await arrival;
  await hanging.close();
  await unanswered;
});
