import { Agent } from "node:http";
import { createLocalProvider, perSecond } from "trypema";
import { afterEach, expect, it } from "vitest";
import { ask } from "./client.ts";
import { type DemoServer, startServer } from "./server.ts";

const agent = new Agent({ keepAlive: true });
let server: DemoServer | undefined;

afterEach(async () => {
  agent.destroy();
  await server?.close();
  server = undefined;
});

it("learns whether it was admitted, and from a denial the factor", async () => {
  const provider = createLocalProvider({ windowMs: 10_000 });
  server = await startServer((strategy, client) => provider[strategy].inc(client, perSecond(0.1)));
  expect(await ask(`${server.url}/absolute`, agent)).toEqual({ admitted: true, factor: 0, askedRedis: false });
  expect(await ask(`${server.url}/absolute`, agent)).toEqual({ admitted: false, factor: 1, askedRedis: false });
});

it("learns whether the server had to ask Redis for that", async () => {
  const provider = createLocalProvider({ windowMs: 10_000 });
  server = await startServer(async (strategy, client) => provider[strategy].inc(client, perSecond(0.1)));
  expect(await ask(`${server.url}/absolute`, agent)).toEqual({ admitted: true, factor: 0, askedRedis: true });
  expect(await ask(`${server.url}/absolute`, agent)).toEqual({ admitted: false, factor: 1, askedRedis: true });
});

it("takes any other answer for a failure", async () => {
  server = await startServer(() => Promise.reject(new Error("backend is away")));
  await expect(ask(`${server.url}/absolute`, agent)).rejects.toThrow(
    "unexpected answer 500: the limiter failed: backend is away",
  );
});

it("fails when the server hangs up, and when nobody listens", async () => {
  let hangUp = () => {};
  const { url, close } = await startServer(() => {
    hangUp();
    return new Promise(() => {});
  });
  hangUp = () => void close();
  await expect(ask(`${url}/absolute`, agent)).rejects.toThrow("socket hang up");
  await expect(ask(`${url}/absolute`, new Agent())).rejects.toThrow("ECONNREFUSED");
});
