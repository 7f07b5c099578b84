// What only reports harms no request, and hidden numbers stay hidden.

import { createLocalProvider, perMinute } from "trypema";
import { Guard, type Metrics } from "trypema/http";
import { createFakeRedisProvider } from "trypema/testing";
import { afterEach, beforeEach, expect, it, vi } from "vitest";

const unhandled: unknown[] = [];
const note = (error: unknown) => void unhandled.push(error);

beforeEach(() => void process.on("unhandledRejection", note));
afterEach(() => {
  process.off("unhandledRejection", note);
  unhandled.length = 0;
});

const request = (raw: object = {}) => ({
  raw,
  method: "GET",
  path: "/",
  peerAddress: "203.0.113.7",
  isAnswered: false,
  header: () => undefined,
});

const fail = async () => {
  throw new Error("too late");
};

/** Node tells of rejections that nobody handles after the microtasks. */
const laterOn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

it("survives what an async onError rejects with", async () => {
  const options = { provider: createLocalProvider(), rate: perMinute(60), onError: fail, onDecision: fail };
  const { answer } = await new Guard(options).check(request());
  await laterOn();
  expect(answer).toBeUndefined();
  expect(unhandled).toEqual([]);
});

it("writes what a callback fails with to the console if nobody listens, and not what the backend fails with", async () => {
  const written = vi.spyOn(console, "error").mockImplementation(() => {});
  const provider = createFakeRedisProvider({ onFailure: "throw" });
  provider.redis = "down";
  await new Guard({ provider, rate: perMinute(60), onDecision: fail, onNotice: false }).check(request());
  await laterOn();
  expect(written.mock.calls).toEqual([[expect.objectContaining({ message: "too late" })]]);
  written.mockRestore();
});

it("reports what async metrics reject with, once", async () => {
  const told: string[] = [];
  const metrics = { decided: fail, failed: fail } as unknown as Metrics;
  const onError = (error: unknown, kind: string) => void told.push(`${kind}: ${(error as Error).message}`);
  await new Guard({ provider: createLocalProvider(), rate: perMinute(60), metrics, onError }).check(request());
  await laterOn();
  expect(told).toEqual(["callback: too late"]);
  expect(unhandled).toEqual([]);
});

it("hides what a limiter has left whichever guard of the request writes the fields", async () => {
  const provider = createLocalProvider();
  const office = new Guard({ provider, name: "office", rate: perMinute(60), hideRemaining: true, onNotice: false });
  const route = new Guard({ provider, name: "route", rate: perMinute(5), onNotice: false });
  for (const guards of [[office, route] as const, [route, office] as const]) {
    const { raw } = request();
    for (const guard of guards) await guard.check(request(raw));
    const { fields } = await guards[0].check(request(raw));
    const byName: { readonly ratelimit?: string; readonly [name: string]: string | undefined } = Object.fromEntries(
      fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]!]] : [])),
    );
    expect(byName["ratelimit-policy"]).toContain('"office";q=60;w=60');
    expect(byName.ratelimit).toMatch(/^"route";r=\d+(;t=\d+)?$/);
  }
});
