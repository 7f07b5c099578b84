import { createLocalProvider, perSecond } from "trypema";
import { manualClock } from "trypema/testing";
import { describe, expect, it } from "vitest";
import { runScript } from "./support/built.ts";

const MAX_KEYS = 1_000;

function open(windowMs = 1_000) {
  const clock = manualClock(1_000_000);
  return { clock, ...createLocalProvider({ windowMs, maxKeys: MAX_KEYS, clock, cleanup: false }) };
}

describe.each(["absolute", "suppressed"] as const)("a flood of fresh keys, %s", (strategy) => {
  // With a capacity of 1 every fresh key is at its limit at once, so that no key is a better one to forget.
  it.each([1, 2, 10])("does not make a limited key pass, at a capacity of %d", (capacity) => {
    const limiter = open()[strategy];
    const rate = perSecond(capacity);
    const limited = (key: string) => limiter.get(key).total >= capacity && limiter.isAllowed(key).outcome !== "allowed";
    limiter.inc("victim", rate, capacity);
    for (let i = 0; i < 10 * MAX_KEYS; i++) {
      expect(limiter.inc(`fresh-${i}`, rate).allowed).toBe(true);
      if (!limited("victim")) expect.fail(`passed after ${i} fresh keys`);
    }
  });

  it("does not free any of many limited keys", () => {
    const limiter = open()[strategy];
    for (let i = 0; i < MAX_KEYS - 1; i++) limiter.inc(`limited-${i}`, perSecond(3), 3);
    for (let i = 0; i < 10 * MAX_KEYS; i++) limiter.inc(`fresh-${i}`, perSecond(3));
    const kept = Array.from({ length: MAX_KEYS - 1 }, (_, i) => limiter.get(`limited-${i}`).total);
    expect(kept.every((total) => total === 3)).toBe(true);
  });

  it("does not free a limited key that comes when many others are at their limits", () => {
    const limiter = open()[strategy];
    const rate = perSecond(10);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`limited-${i}`, rate, 10);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`idle-${i}`, rate, 1);
    limiter.inc("victim", rate, 10);
    for (let i = 0; i < 10 * MAX_KEYS; i++) {
      limiter.inc(`fresh-${i}`, rate);
      if (limiter.isAllowed("victim").outcome === "allowed") expect.fail(`passed after ${i} fresh keys`);
    }
  });

  it("pushes out no live key while there are expired ones", () => {
    const { clock, ...provider } = open();
    const limiter = provider[strategy];
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`live-${i}`, perSecond(10), 4);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`old-${i}`, perSecond(10), 10);
    clock.advance(999);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`live-${i}`, perSecond(10), 1);
    clock.advance(1);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`fresh-${i}`, perSecond(10));
    const kept = Array.from({ length: MAX_KEYS / 2 }, (_, i) => limiter.get(`live-${i}`).total);
    expect(kept.every((total) => total >= 1)).toBe(true);
  });

  it("pushes out expired keys before live ones", () => {
    const { clock, ...provider } = open();
    const limiter = provider[strategy];
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`old-${i}`, perSecond(10), 10);
    clock.advance(999);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`live-${i}`, perSecond(10), 6);
    clock.advance(1);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`fresh-${i}`, perSecond(10), 6);
    const kept = Array.from({ length: MAX_KEYS / 2 }, (_, i) => limiter.get(`live-${i}`).total);
    expect(kept.every((total) => total === 6)).toBe(true);
  });

  it("pushes out keys with most of their capacity unused before others", () => {
    const limiter = open()[strategy];
    for (let i = 0; i < MAX_KEYS; i++) limiter.inc(`k-${i}`, perSecond(10), i % 2 === 0 ? 1 : 7);
    for (let i = 0; i < MAX_KEYS / 2; i++) limiter.inc(`fresh-${i}`, perSecond(10), 7);
    const kept = Array.from({ length: MAX_KEYS }, (_, i) => limiter.get(`k-${i}`).total);
    expect(kept.filter((total) => total === 7)).toHaveLength(MAX_KEYS / 2);
  });
});

it("a flood of fresh keys leaves memory bounded, however long it lasts", async () => {
  const { stdout } = await runScript(
    `
    import { createLocalProvider, perSecond } from "trypema";
    const maxKeys = 20_000;
    const limiter = createLocalProvider({ maxKeys, cleanup: false });
    const flood = (from, to) => {
      for (let i = from; i < to; i++) {
        limiter.absolute.inc("key-" + i, perSecond(1));
        limiter.suppressed.inc("key-" + i, perSecond(1), 100);
      }
      gc();
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const [full, later, muchLater] = [flood(0, maxKeys), flood(maxKeys, 5 * maxKeys), flood(5 * maxKeys, 15 * maxKeys)];
    console.log(JSON.stringify({ full, later, muchLater }));
    limiter.absolute.inc("still in use, so not collected", perSecond(1));
    `,
    ["--expose-gc"],
  );
  const { full, later, muchLater } = JSON.parse(stdout) as Record<string, number>;
  // Maps that entries come to and leave take up to twice the room of those that were only filled.
  expect(later).toBeLessThan(full! * 1.5);
  expect(muchLater).toBeLessThan(later! * 1.05);
});

it("keeps one copy of a key that three limits count", async () => {
  const { stdout } = await runScript(
    `
    import { createLimits, createLocalProvider, minutes } from "trypema";
    const limit = { limit: 100, windowMs: minutes(1) };
    const limits = createLimits(createLocalProvider(), { api: limit, reads: limit, writes: limit });
    const fill = (name) => {
      for (let i = 0; i < 10_000; i++) limits.take((name + i).padEnd(250, "x"));
      gc();
      return process.memoryUsage().heapUsed;
    };
    const before = fill("a");
    console.log((fill("b") - before) / 10_000);
    limits.take("still in use, so not collected");
    `,
    ["--expose-gc"],
  );
  // A copy takes 264 bytes, and the three indexes up to 140.
  expect(Number(stdout)).toBeLessThan(500);
});

describe("keys that are pieces of long headers", () => {
  // V8 keeps the whole text of which a piece was cut: 16 kB for each of these keys.
  it.each([
    ["Local", `const { absolute } = createLocalProvider(); count = (key) => absolute.inc(key, rate);`],
    ["a block", `const { absolute } = createLocalProvider(); count = (key) => absolute.block(key, 60_000);`],
    [
      "a take",
      `const limits = createLimits(createLocalProvider(), { api: { limit: 1, windowMs: 60_000 } }); count = (key) => limits.take(key);`,
    ],
    [
      "Hybrid, whose Redis is away",
      `const { absolute } = createHybridProvider({ sendCommand: async () => { throw new Error("away"); } }, { onFailure: "allow", onEvent: false });
       count = (key) => absolute.inc(key, rate);`,
    ],
    [
      "a limit for HTTP",
      `const key = ({ raw }) => raw.headers.get("x-for").split(",")[1];
       const serve = rateLimit({ provider: createLocalProvider(), rate, key }, () => new Response());
       count = (_, header) => serve(new Request("http://a/", { headers: { "x-for": header } }));`,
    ],
  ])("leave nothing of the headers in memory: %s", async (_, setUp) => {
    const { stdout } = await runScript(
      `
      import { createLimits, createLocalProvider, perMinute } from "trypema";
      import { rateLimit } from "trypema/fetch";
      import { createHybridProvider } from "trypema/hybrid";
      const rate = perMinute(10);
      let count;
      ${setUp}
      const attack = async (name) => {
        for (let i = 0; i < 2_000; i++) {
          const header = Buffer.from("x".repeat(16_000) + "," + (name + i).padStart(20, "k")).toString("latin1");
          await count(header.split(",")[1], header);
        }
        gc();
        gc();
        return process.memoryUsage().heapUsed;
      };
      const before = await attack("a");
      console.log(((await attack("b")) - before) / 2_000);
      process.exit();
      `,
      ["--expose-gc"],
    );
    expect(Number(stdout)).toBeLessThan(4_000);
  });
});
