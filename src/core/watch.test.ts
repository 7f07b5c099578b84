// What a provider counts and tells, without a provider.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { TrypemaError } from "./errors.ts";
import { EVENT_TYPES, eventOf, type OnEvent, type ProviderEvent } from "./events.ts";
import { Watch } from "./watch.ts";

vi.mock(import("./events.ts"), async (original) => {
  const events = await original();
  return { ...events, eventOf: vi.fn(events.eventOf) as typeof events.eventOf };
});

let nowMs = 0;
const clock = () => nowMs;
const OUT = new TrypemaError("BACKEND_UNAVAILABLE", "Redis: connect ECONNREFUSED", {
  cause: Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:6379"), { code: "ECONNREFUSED" }),
});

let warnings: string[];

beforeEach(() => {
  nowMs = 0;
  vi.useFakeTimers();
  vi.mocked(eventOf).mockClear();
  warnings = [];
  vi.spyOn(process, "emitWarning").mockImplementation(((text: string, { code }: { code: string }) => {
    warnings.push(`${code} ${text.replace(/ \(node_modules\S+\)$/, "")}`);
  }) as typeof process.emitWarning);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function advance(ms: number): Promise<void> {
  nowMs += ms;
  await vi.advanceTimersByTimeAsync(ms);
}

/** Everything that can happen. */
async function live(watch: Watch): Promise<void> {
  watch.noteEviction();
  watch.noteSweep(3, 1.5);
  watch.noteTimeout();
  watch.noteOpened(OUT);
  watch.noteDegraded("local", OUT.code);
  watch.noteLostReport();
  await advance(10_000);
  watch.noteClosed();
  if (watch.isDegraded) watch.noteAnswer();
  await advance(0);
}

async function toldTo(use: (watch: Watch) => unknown): Promise<ProviderEvent[]> {
  const events: ProviderEvent[] = [];
  await use(new Watch((event) => events.push(event), clock));
  await advance(0);
  return events;
}

it("tells each type of event, with what an operator needs to know", async () => {
  const events = await toldTo(live);
  expect(events).toEqual([
    { type: "evicted", keys: 1 },
    { type: "swept", keys: 3, durationMs: 1.5 },
    { type: "timeout", calls: 1 },
    { type: "breaker-opened", code: "BACKEND_UNAVAILABLE", reason: "ECONNREFUSED" },
    { type: "degraded", calls: 1, policy: "local", code: "BACKEND_UNAVAILABLE" },
    { type: "reports-lost", reports: 1 },
    { type: "breaker-closed", openMs: 10_000 },
    { type: "recovered", calls: 1, durationMs: 0 },
  ]);
  expect(new Set(events.map(({ type }) => type))).toEqual(new Set(EVENT_TYPES));
  expect(warnings).toEqual([]);
});

it.each([undefined, false] as OnEvent[])(
  "makes no event while nobody listens (onEvent: %s), and counts all the same",
  async (onEvent) => {
    const watch = new Watch(onEvent, clock);
    await live(watch);
    expect(eventOf).not.toHaveBeenCalled();
    expect(vi.getTimerCount()).toBe(0);
    expect(watch.counts).toMatchObject({
      evictions: 1,
      sweeps: 1,
      sweptKeys: 3,
      timeouts: 1,
      degraded: 1,
      reportsLost: 1,
    });
  },
);

it("makes no event any longer when the last listener has gone", async () => {
  const watch = new Watch(false, clock);
  const stop = watch.listen(() => {});
  watch.noteSweep(0, 0);
  expect(eventOf).toHaveBeenCalledTimes(1);
  stop();
  await live(watch);
  expect(eventOf).toHaveBeenCalledTimes(1);
});

it("tells the first call at once, and those that follow as a number once a second", async () => {
  const events = await toldTo(async (watch) => {
    for (let i = 0; i < 250; i++) {
      watch.noteDegraded(i < 120 ? "allow" : "deny", "BACKEND_TIMEOUT");
      await advance(10);
    }
    await advance(5_000);
  });
  expect(events.map((event) => event.type === "degraded" && [event.calls, event.policy])).toEqual([
    [1, "allow"],
    [99, "allow"],
    [100, "deny"],
    [50, "deny"],
  ]);
});

it("calls listeners after what has happened, so that they may call the provider", async () => {
  let isDeciding = false;
  const seen: boolean[] = [];
  const watch = new Watch(() => seen.push(isDeciding), clock);
  isDeciding = true;
  watch.noteSweep(0, 0);
  isDeciding = false;
  await advance(0);
  expect(seen).toEqual([false]);
});

it.each([
  [
    "throws",
    () => {
      throw new Error("no disk");
    },
  ],
  ["rejects", () => Promise.reject(new Error("no disk"))],
])("a listener that %s harms nobody, keeps no event from other listeners, and is told of once", async (_, onEvent) => {
  const watch = new Watch(onEvent, clock);
  const others: string[] = [];
  watch.listen(({ type }) => others.push(type));
  await live(watch);
  expect(others).toHaveLength(EVENT_TYPES.length);
  expect(warnings).toEqual(["LISTENER_FAILED onEvent failed (this warning comes only once): no disk"]);
});

it("without a listener warns when a failure policy begins to decide, and when that ends", async () => {
  const watch = new Watch(undefined, clock);
  watch.subject = "the provider of logins";
  for (let i = 0; i < 500; i++) watch.noteDegraded("local", "BACKEND_TIMEOUT");
  expect(warnings).toEqual([
    'DEGRADED Redis fails (BACKEND_TIMEOUT): the failure policy "local" decides about calls of the provider of logins',
  ]);
  watch.noteAnswer();
  expect(warnings).toHaveLength(1);
  await advance(5_000);
  watch.noteAnswer();
  expect(warnings[1]).toBe(
    "RECOVERED Redis answers again: the failure policy has decided about calls of the provider of logins (500)",
  );
  expect(watch.isDegraded).toBe(false);
  watch.noteDegraded("local", "BACKEND_TIMEOUT");
  expect(warnings).toHaveLength(3);
});

it("says nothing with onEvent: false", async () => {
  await live(new Watch(false, clock));
  expect(warnings).toEqual([]);
});

it.each([
  ["NOAUTH", new Error("NOAUTH Authentication required.")],
  ["LOADING", new Error("LOADING Redis is loading the dataset in memory")],
  ["ERR", new Error("ERR unknown command 'EVALSHA', with args beginning with: 'alice'")],
  ["", new Error("alice is not allowed")],
  ["", "ALICE"],
  ["", undefined],
])("gives the reason %s in one word, and never the text of an error, which may quote a key", async (reason, cause) => {
  const error = new TrypemaError("BACKEND_UNAVAILABLE", "Redis: alice", { cause });
  const events = await toldTo((watch) => watch.noteOpened(error));
  expect(events).toEqual([{ type: "breaker-opened", code: "BACKEND_UNAVAILABLE", reason }]);
});

it("gives nobody an event that another listener has changed", async () => {
  const [event] = await toldTo((watch) => watch.noteSweep(1, 1));
  expect(Object.isFrozen(event)).toBe(true);
});

it("counts limits of one name, strategy and window together", () => {
  const watch = new Watch(false);
  const day = { name: "day", strategy: "absolute", windowMs: 1_000 } as const;
  expect(watch.tallyOf({ ...day })).toBe(watch.tallyOf({ ...day }));
  watch.tallyOf({ ...day, windowMs: 2_000 });
  expect(watch.tallies).toHaveLength(2);
});
