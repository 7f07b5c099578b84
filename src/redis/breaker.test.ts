// The breaker where timers end with requests (edge isolates), and with a client that never gives up. The tests in
// test/redis have real servers.

import { afterEach, expect, it, vi } from "vitest";

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.resetModules();
});

async function isolateBreaker(timeoutMs: number) {
  vi.stubGlobal("navigator", { userAgent: "Cloudflare-Workers" });
  vi.resetModules();
  const { Breaker } = await import("./breaker.ts");
  return new Breaker(timeoutMs);
}

const hang = () => new Promise<never>(() => {});

it("gives each call a timer of its own, which ends with it", async () => {
  const set = vi.spyOn(globalThis, "setTimeout");
  const cleared = vi.spyOn(globalThis, "clearTimeout");
  const breaker = await isolateBreaker(10);
  set.mockClear();
  expect(await Promise.all([breaker.run(async () => 1), breaker.run(async () => 2)])).toEqual([1, 2]);
  expect(set).toHaveBeenCalledTimes(2);
  await new Promise(setImmediate);
  for (const { value } of set.mock.results) expect(cleared).toHaveBeenCalledWith(value);
  await expect(breaker.run(hang)).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
});

it("probes again though a probe was never answered, for its request may have ended", async () => {
  const breaker = await isolateBreaker(1);
  const now = performance.now();
  const clock = vi.spyOn(performance, "now").mockReturnValue(now);
  for (let i = 0; i < 5; i++) await expect(breaker.run(hang)).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
  await expect(breaker.run(hang)).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  for (const laterMs of [1_000, 2_000]) {
    clock.mockReturnValue(now + laterMs);
    await expect(breaker.run(hang)).rejects.toMatchObject({ code: "BACKEND_TIMEOUT" });
    await expect(breaker.run(hang)).rejects.toMatchObject({ code: "BACKEND_UNAVAILABLE" });
  }
  clock.mockReturnValue(now + 3_000);
  expect(await breaker.run(async () => "back")).toBe("back");
  expect(await breaker.run(async () => "closed")).toBe("closed");
});

it("probes again after ten seconds where a client neither answers nor fails", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  vi.resetModules();
  const { Breaker } = await import("./breaker.ts");
  const breaker = new Breaker(100);
  const outcome = async (send: () => Promise<unknown>) => {
    const failure = breaker.run(send).catch(({ code }) => code);
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
  expect(breaker.isOpen).toBe(false);
});

it("doesn't take an answer for missing that came while the process was held up", async () => {
  vi.resetModules();
  const { Breaker } = await import("./breaker.ts");
  const breaker = new Breaker(20);
  // What follows here is before the timers, and these are before the next answers.
  await new Promise(setImmediate);
  const answers = Array.from({ length: 10 }, (_, i) =>
    breaker.run(() => new Promise((resolve) => setImmediate(resolve, i))),
  );
  // The timer is made in a reaction.
  await Promise.resolve().then();
  for (const startMs = performance.now(); performance.now() < startMs + 50; );
  expect(await Promise.all(answers)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(breaker.isOpen).toBe(false);
});

it("says the same to all calls of an outage, however long it is", async () => {
  const { Breaker } = await import("./breaker.ts");
  const breaker = new Breaker(100);
  const now = performance.now();
  const clock = vi.spyOn(performance, "now");
  const messages = new Set<string>();
  for (let second = 0; second < 20; second++) {
    clock.mockReturnValue(now + second * 1_000);
    const calls = Array.from({ length: 10 }, () => breaker.run(async () => Promise.reject(new Error("refused"))));
    for (const call of await Promise.allSettled(calls)) messages.add(String((call as PromiseRejectedResult).reason));
  }
  expect([...messages]).toHaveLength(2);
});

it("opens at the fifth failure in a row, closes at any answer, refuses nothing while it is closed, and can open again", async () => {
  const { Breaker } = await import("./breaker.ts");
  const breaker = new Breaker(100);
  const answer = async () => "answer";
  const fail = async () => Promise.reject(new Error("refused"));
  const failInScript = async () => Promise.reject(new Error("WRONGTYPE Operation against a key"));
  let nowMs = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  const steps: [laterMs: number, send: () => Promise<string>, outcome: string, isOpen: boolean, refuses: boolean][] = [
    ...Array.from({ length: 4 }, () => [0, fail, "BACKEND_UNAVAILABLE", false, false] as (typeof steps)[number]),
    [0, answer, "answer", false, false],
    ...Array.from({ length: 4 }, () => [0, fail, "BACKEND_UNAVAILABLE", false, false] as (typeof steps)[number]),
    [0, failInScript, "BACKEND_SCRIPT", false, false],
    [0, fail, "BACKEND_UNAVAILABLE", true, true],
    [499, answer, "BACKEND_UNAVAILABLE", true, true],
    [1, fail, "BACKEND_UNAVAILABLE", true, true],
    [500, failInScript, "BACKEND_SCRIPT", true, true],
    [500, answer, "answer", false, false],
    // What was the probe of the first outage holds nobody up in the second one.
    ...Array.from(
      { length: 5 },
      (_, i) => [0, fail, "BACKEND_UNAVAILABLE", i === 4, i === 4] as (typeof steps)[number],
    ),
    [499, answer, "BACKEND_UNAVAILABLE", true, true],
    [1, answer, "answer", false, false],
  ];
  for (const [index, [laterMs, send, outcome, isOpen, refuses]] of steps.entries()) {
    nowMs += laterMs;
    const got = await breaker.run(send).catch(({ code }) => code);
    expect([index, got, breaker.isOpen, breaker.refuses]).toEqual([index, outcome, isOpen, refuses]);
  }
});
