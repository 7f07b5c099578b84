import { afterEach, describe, expect, it, vi } from "vitest";
import { ForwardClock } from "../core/clock.ts";
import { perSecond, type Rate } from "../core/rate.ts";
import type { Decision } from "../core/types.ts";
import { allowed } from "../strategy/decision.ts";
import { Holder } from "./holder.ts";
import { Memory } from "./pieces.ts";
import type { Answer, OutgoingReport, WaitingCall } from "./protocol.ts";
import { Serving } from "./serving.ts";
import { Slices } from "./slices.ts";
import { NO_DRAW, type Undecided } from "./strategy.ts";
import { timingOf } from "./timing.ts";
import { type Deciders, WaitingCalls } from "./waiting-calls.ts";
import { WallClock } from "./wall-clock.ts";

const TIMEOUT_MS = 50;
const LIMIT = 100;
const RATE = perSecond(LIMIT);
const OTHER_RATE = perSecond(7);
const AWAY = new Error("Redis is away");

/** One key with calls that wait, and what is decided about them. */
class Desk {
  readonly holder = new Holder(
    "k",
    timingOf({ windowMs: 1_000, bucketMs: 100, timeoutMs: TIMEOUT_MS }, 10),
    new Memory(),
  );
  /** What the strategy decides about a call of that count; a decision about any other. */
  readonly undecided = new Map<number, Undecided>();
  /** The draws that the strategy was handed. */
  readonly draws: Undecided[] = [];
  /** What the failure policy was asked: the count of the call, and the number that Redis may have counted it under. */
  readonly failed: (readonly [count: number, countedAs: number])[] = [];
  readonly told: string[] = [];
  timeMs = 0;
  readonly waiting: WaitingCalls;

  constructor() {
    const deciders: Deciders = {
      strategy: {
        decide: (_, count, __, ___, draw = NO_DRAW) => {
          this.draws.push(draw);
          return this.undecided.get(count) ?? decisionOf(count);
        },
      },
      fallback: {
        decideAfter: (error, _, { count }, countedAs) => {
          if (count === LIMIT) throw error;
          this.failed.push([count, countedAs]);
          return decisionOf(count);
        },
      },
      tally: { add: (decision: Decision) => decision } as Deciders["tally"],
      clock: new ForwardClock(() => this.timeMs),
      wall: new WallClock(false),
      slices: new Slices(),
      timeoutMs: TIMEOUT_MS,
    };
    this.waiting = new WaitingCalls(this.holder, deciders);
  }

  /** Has a call wait whose count is its name. */
  add(count: number, rate: Rate = RATE): void {
    const tell = (how: string) => this.told.push(`${count} ${how}`);
    this.waiting.add({ rate, limit: LIMIT, count }, NO_DRAW).then(
      () => tell("decided"),
      () => tell("failed"),
    );
  }

  report(): OutgoingReport {
    return this.holder.makeReport(6, this.waiting.calls, 0, 0);
  }

  /** Redis has answered; nothing was counted, and nobody is denied with the first call. */
  serve(answer: Partial<Answer> = {}): void {
    const report = this.report();
    const whole = { counted: 0, granted: LIMIT, total: 0, declined: 0, leasedByOthers: 0, buckets: 0, ...answer };
    this.holder.answered(whole as Answer, report, 0, 0);
    this.waiting.serve(new Serving(whole as Answer, report));
  }

  get left(): number[] {
    return this.waiting.calls.map(({ count }: WaitingCall) => count);
  }
}

function decisionOf(count: number): Decision {
  return allowed(LIMIT, count, 0);
}

/** Until whoever awaits a promise that is settled has been told. */
async function givingWay(): Promise<void> {
  for (let i = 0; i < 5; i++) await undefined;
}

it("an answer decides about calls in their order, up to the first that it can't decide about", async () => {
  const desk = new Desk();
  for (const count of [1, 2, 3, 1]) desk.add(count);
  desk.undecided.set(2, NO_DRAW);
  desk.serve();
  await givingWay();
  expect(desk.told).toEqual(["1 decided"]);
  expect(desk.left).toEqual([2, 3, 1]);
});

it("calls at another rate go on waiting, and keep nobody back", async () => {
  const desk = new Desk();
  desk.add(1);
  desk.add(2, OTHER_RATE);
  desk.add(3);
  desk.serve();
  await givingWay();
  expect(desk.told).toEqual(["1 decided", "3 decided"]);
  expect(desk.left).toEqual([2]);
});

it("calls that are as heavy as a denied one are decided, though a call before them waits", async () => {
  const desk = new Desk();
  for (const count of [5, 4, 6]) desk.add(count);
  desk.undecided.set(5, NO_DRAW);
  desk.serve({ granted: 0 });
  await givingWay();
  expect(desk.told).toEqual(["6 decided"]);
  expect(desk.left).toEqual([5, 4]);
});

it("a call keeps its draw until it is decided", () => {
  const desk = new Desk();
  desk.add(1);
  desk.undecided.set(1, 0.25);
  desk.serve();
  desk.serve();
  expect(desk.draws).toEqual([NO_DRAW, 0.25]);
});

it("a clock that throws fails only the calls that it was read for", async () => {
  const desk = new Desk();
  desk.add(1);
  Object.defineProperty(desk, "timeMs", {
    get() {
      throw new Error("no time");
    },
  });
  desk.serve();
  await givingWay();
  expect(desk.told).toEqual(["1 failed"]);
  expect(desk.left).toEqual([]);
});

it("where an answer is lost, only calls that it was asked for may have been counted, under the number after its own", async () => {
  const desk = new Desk();
  for (const count of [1, 2]) desk.add(count);
  const report = desk.report();
  desk.add(3);
  await desk.waiting.fail(report, AWAY);
  expect(desk.failed).toEqual([
    [1, 7],
    [2, 7],
    [3, 0],
  ]);
  expect(desk.told).toEqual(["1 decided", "2 decided", "3 decided"]);
});

it("where nothing was sent, no call may have been counted", async () => {
  const desk = new Desk();
  desk.add(1);
  await desk.waiting.fail(undefined, AWAY);
  expect(desk.failed).toEqual([[1, 0]]);
});

it("a call gets the error where the failure policy leaves it to the caller, and the others their decisions", async () => {
  const desk = new Desk();
  for (const count of [LIMIT, 1]) desk.add(count);
  await desk.waiting.fail(undefined, AWAY);
  await givingWay();
  expect(desk.told).toEqual([`${LIMIT} failed`, "1 decided"]);
});

it("calls that come while many others fail wait for the next exchange", async () => {
  const desk = new Desk();
  for (let i = 0; i < 501; i++) desk.add(1);
  const failing = desk.waiting.fail(undefined, AWAY);
  await givingWay();
  expect(desk.failed).toHaveLength(500);
  desk.add(2);
  await failing;
  expect(desk.failed).toHaveLength(501);
  expect(desk.left).toEqual([2]);
});

describe("after an exchange", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Two calls that came at 50 ms and at 51 ms by the system's clock. */
  async function giveUp(beganMs: number, nowMs: number): Promise<Desk> {
    const now = vi.spyOn(performance, "now");
    const desk = new Desk();
    now.mockReturnValue(50);
    desk.add(1);
    now.mockReturnValue(51);
    desk.add(2);
    now.mockReturnValue(nowMs);
    await desk.waiting.giveUp(beganMs);
    return desk;
  }

  it("calls are given up that have waited for so long that the next one may take them past twice the timeout", async () => {
    const desk = await giveUp(60, 50 + TIMEOUT_MS);
    expect(desk.failed).toEqual([[1, 0]]);
    expect(desk.left).toEqual([2]);
  });

  it("no call is given up for time in which this process was too busy to read the answer", async () => {
    expect((await giveUp(60, 60 + 10 * TIMEOUT_MS)).left).toEqual([1, 2]);
  });
});
