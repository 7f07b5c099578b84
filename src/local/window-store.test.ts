// What only large numbers show: records and cells in several chunks that grow, move and are given back.

import { seededRandom } from "trypema/testing";
import { expect, it } from "vitest";
import { perSecond } from "../core/rate.ts";
import { createLocalProvider } from "./provider.ts";

const KEYS = 100_000;
const CALLS = 1_000_000;
const RATE = perSecond(1e9);

it("keeps a hundred thousand keys apart while they come and go", () => {
  const random = seededRandom(1);
  let nowMs = 0;
  const { absolute } = createLocalProvider({ windowMs: 1e6, bucketMs: 1, clock: () => nowMs, cleanup: false });
  const totals = new Map<string, number>();
  let wrong = 0;
  for (let call = 0; call < CALLS; call++) {
    nowMs += 0.5;
    const key = `key-${Math.floor(random() * KEYS)}`;
    const total = totals.get(key) ?? 0;
    if (random() < 0.2) {
      if (absolute.delete(key) !== total) wrong++;
      totals.delete(key);
    } else {
      const count = 1 + Math.floor(random() * 3);
      const { limit, remaining } = absolute.inc(key, RATE, count);
      if (limit - remaining !== total + count) wrong++;
      totals.set(key, total + count);
    }
  }
  for (let i = 0; i < KEYS; i++) if (absolute.get(`key-${i}`).total !== (totals.get(`key-${i}`) ?? 0)) wrong++;
  expect(wrong).toBe(0);
  for (const key of totals.keys()) absolute.delete(key);
  for (let i = 0; i < KEYS; i++) if (absolute.get(`key-${i}`).total !== 0) wrong++;
  expect(wrong).toBe(0);
});

it("keeps every bucket of a key that has a hundred thousand, and lets them go one by one", () => {
  let nowMs = 0;
  const { absolute } = createLocalProvider({ windowMs: 100_000, bucketMs: 1, clock: () => nowMs, cleanup: false });
  let wrong = 0;
  for (let hit = 1; hit <= 300_000; hit++) {
    nowMs += 1;
    const { limit, remaining } = absolute.inc("key", RATE);
    if (limit - remaining !== Math.min(hit, 100_000)) wrong++;
  }
  expect(wrong).toBe(0);
  nowMs += 50_000;
  expect(absolute.get("key").total).toBe(50_000);
});

it.each(["delete", "clear"] as const)("keeps what the first key counts after a %s of all keys", (method) => {
  const { absolute } = createLocalProvider({ cleanup: false });
  absolute.inc("before", RATE);
  if (method === "delete") absolute.delete("before");
  else absolute.clear();
  absolute.inc("first", RATE, 2);
  absolute.inc("second", RATE, 3);
  expect([absolute.get("first").total, absolute.get("second").total]).toEqual([2, 3]);
});
