import { seededRandom } from "trypema/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { arrivals, isSettled, Load, type Reply } from "./load.ts";

describe("arrivals", () => {
  const seconds = Array.from({ length: 2_000 }, (_, seed) => [...arrivals(100, seededRandom(seed))]);

  it("come in order, within their second", () => {
    for (const dueMs of seconds) {
      expect(dueMs).toEqual([...dueMs].sort((a, b) => a - b));
      expect(dueMs.at(0)).toBeGreaterThan(0);
      expect(dueMs.at(-1)).toBeLessThan(1_000);
    }
  });

  it("are as many and as irregular as those of a Poisson process", () => {
    const counts = seconds.map((dueMs) => dueMs.length);
    const mean = counts.reduce((sum, count) => sum + count) / counts.length;
    const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
    expect(Math.abs(mean - 100)).toBeLessThan(1);
    expect(Math.abs(variance - 100)).toBeLessThan(10);
  });
});

describe("load", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  /** Draws that put a request every 300 ms from the start of each second. */
  const every300Ms = () => 1 - Math.exp(-3);
  const PLAN = { requestsPerSecond: 10, seconds: 2, random: every300Ms, servers: 1 };
  const ADMITTED: Reply = { admitted: true, factor: 0, askedRedis: false };

  it("counts each request in the second in which it was due, with what became of it", async () => {
    const outcomes = ["admit", "deny", "fail", "admit", "admit", "deny"];
    const load = new Load(PLAN, async (): Promise<Reply> => {
      const outcome = outcomes.shift();
      if (outcome === "fail") throw new Error("no route");
      return outcome === "admit" ? ADMITTED : { admitted: false, factor: 0.25, askedRedis: true };
    });
    const running = load.run();
    await vi.advanceTimersByTimeAsync(2_010);
    await running;
    expect(load.seconds).toEqual([
      { offered: 3, admitted: 1, denied: 1, failed: 1, factor: 0.25, askedRedis: 1, admittedBy: [1] },
      { offered: 3, admitted: 2, denied: 1, failed: 0, factor: 0.25, askedRedis: 1, admittedBy: [2] },
    ]);
    expect(load.failure).toBe("no route");
  });

  it("has the servers take turns, also from one second to the next", async () => {
    const load = new Load({ ...PLAN, servers: 2 }, async (server) => ({ ...ADMITTED, admitted: server === 1 }));
    const running = load.run();
    await vi.advanceTimersByTimeAsync(2_010);
    await running;
    expect(load.seconds.map(({ admittedBy }) => admittedBy)).toEqual([
      [0, 1],
      [0, 2],
    ]);
  });

  it("does not wait for replies, and is not over before the last one", async () => {
    const replies: Array<(reply: Reply) => void> = [];
    const load = new Load(PLAN, () => new Promise<Reply>((resolve) => replies.push(resolve)));
    let over = false;
    const running = load.run().then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(load.seconds.map(({ offered }) => offered)).toEqual([3, 3]);
    expect(load.seconds.map(isSettled)).toEqual([false, false]);
    for (const reply of replies.slice(0, 5)) reply(ADMITTED);
    await vi.advanceTimersByTimeAsync(10);
    expect(load.seconds.map(isSettled)).toEqual([true, false]);
    expect(over).toBe(false);
    replies[5]!(ADMITTED);
    await running;
    expect(load.seconds.map(({ admitted }) => admitted)).toEqual([3, 3]);
  });

  it("lasts as long as planned, even where nothing is due", async () => {
    const load = new Load({ ...PLAN, random: () => 1 - Number.EPSILON }, () => Promise.reject(new Error("unexpected")));
    let over = false;
    const running = load.run().then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(1_990);
    expect(load.seconds.map(({ offered }) => offered)).toEqual([0, 0]);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(20);
    await running;
  });

  it("sends any number of requests as long as they are answered", async () => {
    const plan = { ...PLAN, requestsPerSecond: 3_000, seconds: 1, random: seededRandom(1) };
    const load = new Load(plan, async () => ADMITTED);
    const running = load.run();
    await vi.advanceTimersByTimeAsync(1_010);
    await running;
    const [second] = load.seconds;
    expect(second!.offered).toBeGreaterThan(2_500);
    expect(second!.admitted).toBe(second!.offered);
  });

  it("fails requests unsent rather than leave more than 2000 unanswered", async () => {
    let sent = 0;
    const load = new Load({ ...PLAN, requestsPerSecond: 3_000, seconds: 1, random: seededRandom(1) }, () => {
      sent++;
      return new Promise<Reply>(() => {});
    });
    void load.run();
    await vi.advanceTimersByTimeAsync(1_010);
    const [second] = load.seconds;
    expect(sent).toBe(2_000);
    expect(second!.offered).toBeGreaterThan(2_500);
    expect(second!.failed).toBe(second!.offered - 2_000);
    expect(load.failure).toBe("2000 requests are unanswered");
  });
});
