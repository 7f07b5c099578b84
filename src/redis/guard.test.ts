// Where timers end with requests (edge isolates), and with a client that never gives up. With real servers the guard is
// tested in test/redis.

import { afterEach, expect, it, vi } from "vitest";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.resetModules();
});

async function isolateGuard(timeoutMs: number) {
  vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
  vi.resetModules();
  const { Guard } = await import("./guard.ts");
  return new Guard(timeoutMs);
}

const hang = () => new Promise<never>(() => {});

it("gives each call a timer of its own, which ends with it", async () => {
  const set = vi.spyOn(globalThis, "setTimeout");
  const cleared = vi.spyOn(globalThis, "clearTimeout");
  const guard = await isolateGuard(10);
  set.mockClear();
  expect(await Promise.all([guard.run(async () => 1), guard.run(async () => 2)])).toEqual([1, 2]);
  expect(set).toHaveBeenCalledTimes(2);
  await new Promise(setImmediate);
  for (const { value } of set.mock.results) expect(cleared).toHaveBeenCalledWith(value);
  await expect(guard.run(hang)).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
});

it("probes again though a probe was never answered, for its request may have ended", async () => {
  const guard = await isolateGuard(1);
  for (let i = 0; i < 5; i++) await expect(guard.run(hang)).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
  await expect(guard.run(hang)).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  const now = performance.now();
  const clock = vi.spyOn(performance, "now");
  for (const laterMs of [1_000, 2_000]) {
    clock.mockReturnValue(now + laterMs);
    await expect(guard.run(hang)).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
    await expect(guard.run(hang)).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  }
  clock.mockReturnValue(now + 3_000);
  expect(await guard.run(async () => "back")).toBe("back");
  expect(await guard.run(async () => "closed")).toBe("closed");
});

it("probes again after ten seconds where a client neither answers nor fails", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  vi.resetModules();
  const { Guard } = await import("./guard.ts");
  const guard = new Guard(100);
  const outcome = async (send: () => Promise<unknown>) => {
    const failure = guard.run(send).catch(({ code }) => code);
    // A deadline is looked at twice.
    await vi.advanceTimersByTimeAsync(101);
    return failure;
  };
  for (let i = 0; i < 5; i++) expect(await outcome(hang)).toBe("BACKEND_TIMEOUT");
  await vi.advanceTimersByTimeAsync(500);
  expect(await outcome(hang)).toBe("BACKEND_TIMEOUT");
  await vi.advanceTimersByTimeAsync(9_000);
  expect(await outcome(hang)).toBe("BACKEND_UNAVAILABLE");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await outcome(async () => "back")).toBe("back");
  expect(guard.isOpen).toBe(false);
});

it("doesn't take an answer for missing that came while the process was held up", async () => {
  vi.resetModules();
  const { Guard } = await import("./guard.ts");
  const guard = new Guard(20);
  // What follows here is before the timers, and these are before the next answers.
  await new Promise(setImmediate);
  const answers = Array.from({ length: 10 }, (_, i) =>
    guard.run(() => new Promise((resolve) => setImmediate(resolve, i))),
  );
  // The timer is made in a reaction.
  await Promise.resolve().then();
  for (const startMs = performance.now(); performance.now() < startMs + 50; );
  expect(await Promise.all(answers)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(guard.isOpen).toBe(false);
});

it("says the same to all calls of an outage, however long it is", async () => {
  const { Guard } = await import("./guard.ts");
  const guard = new Guard(100);
  const now = performance.now();
  const clock = vi.spyOn(performance, "now");
  const messages = new Set<string>();
  for (let second = 0; second < 20; second++) {
    clock.mockReturnValue(now + second * 1_000);
    const calls = Array.from({ length: 10 }, () => guard.run(async () => Promise.reject(new Error("refused"))));
    for (const call of await Promise.allSettled(calls)) messages.add(String((call as PromiseRejectedResult).reason));
  }
  expect([...messages]).toHaveLength(2);
});
