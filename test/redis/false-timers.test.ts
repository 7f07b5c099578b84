// Providers under the false timers of a user's tests.

import { mock } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Awaitable, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { afterEach, describe, expect, it, vi } from "vitest";

const hung = { sendCommand: () => new Promise<never>(() => {}) };
const RATE = perSecond(5);

/** What a call fails with. */
async function failureOf(call: Awaitable<unknown>): Promise<unknown> {
  try {
    return `it was answered with ${await call}`;
  } catch (error) {
    return error;
  }
}

afterEach(() => {
  vi.useRealTimers();
  mock.timers.reset();
});

const falseTimers = {
  vitest: {
    use: () => void vi.useFakeTimers(),
    pass: (ms: number) => vi.advanceTimersByTimeAsync(ms),
    end: () => void vi.useRealTimers(),
  },
  "node:test": {
    use: () => mock.timers.enable({ apis: ["setTimeout", "setInterval", "setImmediate"] }),
    async pass(ms: number) {
      for (let passed = 0; passed < ms; passed++) {
        await Promise.resolve();
        mock.timers.tick(1);
      }
    },
    end: () => mock.timers.reset(),
  },
};

describe.each(Object.entries(falseTimers))("%s", (_, timers) => {
  it("a deadline passes when false time passes it, and not before", async () => {
    const { absolute } = createRedisProvider(hung, { timeoutMs: 10_000 });
    timers.use();
    let failure: unknown;
    void failureOf(absolute.inc("k", RATE)).then((error) => {
      failure = error;
    });
    await timers.pass(9_990);
    expect(failure).toBe(undefined);
    await timers.pass(100);
    expect(failure).toMatchObject({ code: "BACKEND_TIMEOUT" });
  });

  it.each([createRedisProvider, createHybridProvider])(
    "real deadlines pass again when real time is back: %o",
    async (create) => {
      const { absolute } = create(hung, { timeoutMs: 20, onFailure: "throw" });
      timers.use();
      void failureOf(absolute.inc("k", RATE));
      await timers.pass(1);
      timers.end();
      expect(await failureOf(absolute.inc("k", RATE))).toMatchObject({ code: "BACKEND_TIMEOUT" });
    },
  );

  it("a deadline that began in real time passes though false timers came", async () => {
    const { absolute } = createRedisProvider(hung, { timeoutMs: 20 });
    const call = failureOf(absolute.inc("k", RATE));
    await sleep(1);
    timers.use();
    void failureOf(absolute.inc("k", RATE));
    await timers.pass(100);
    expect(await call).toMatchObject({ code: "BACKEND_TIMEOUT" });
  });
});
