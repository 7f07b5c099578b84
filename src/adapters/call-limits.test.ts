// What better-auth and @nestjs/throttler say of a call, with the storages that both of them are given.

import { createHash } from "node:crypto";
import { createLocalProvider, type Provider } from "trypema";
import { expect, it } from "vitest";
import { rateLimitStorage } from "./better-auth.ts";
import { throttlerStorage } from "./nestjs/throttler-storage.ts";

/** A provider that isn't made by this package. */
function foreign({ absolute, suppressed, windowMs, withWindow }: Provider): Provider {
  const own = { inc: absolute.inc.bind(absolute) } as Provider["absolute"];
  return { absolute: own, suppressed, windowMs, withWindow: (window) => foreign(withWindow(window)) } as Provider;
}

it.each([
  ["a provider of the package", createLocalProvider()],
  ["another provider", foreign(createLocalProvider())],
])("counts keys of any length on %s, each for itself", async (_, provider) => {
  const storage = rateLimitStorage(provider);
  const long = "字".repeat(100);
  const keys = ["字".repeat(80), "字".repeat(85), long, createHash("sha256").update(long).digest("hex"), "\ud800"];
  for (const key of keys) expect(await storage.consume(key, { window: 10, max: 1 })).toMatchObject({ allowed: true });
  for (const key of keys) expect(await storage.consume(key, { window: 10, max: 1 })).toMatchObject({ allowed: false });
});

it("tells better-auth whole seconds where no request is ever allowed", async () => {
  const storage = rateLimitStorage(createLocalProvider());
  expect(await storage.consume("k", { window: 0.5, max: 0 })).toEqual({ allowed: false, retryAfter: 1 });
  expect(await storage.consume("k", { window: 10.5, max: 0 })).toEqual({ allowed: false, retryAfter: 11 });
});

it.each([Number.NaN, Number.POSITIVE_INFINITY, 1e300, -5])("refuses %d as a throttler's block", async (block) => {
  const storage = throttlerStorage(createLocalProvider());
  await expect(storage.increment("k", 1_000, 1, block, "default")).rejects.toMatchObject({ code: "INVALID_OPTION" });
});

it.each([0, undefined, 0.3])("takes %s as a throttler's block", async (block) => {
  const storage = throttlerStorage(createLocalProvider());
  expect(await storage.increment("k", 1_000, 1, block as number, "default")).toMatchObject({ isBlocked: false });
});
