// The server's clock is set back: a pause for each key, as on Local. The servers are real, and their clocks are those
// of test/support/clock-server.ts: time passes there as the tests say, and as the machine's time does.

import { Redis } from "ioredis";
import { type Decision, perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { argumentsOf, fieldsOf } from "../../src/redis/commands.ts";
import { ABSOLUTE_INC, ADJUST, SYNC } from "../../src/redis/lua.generated.ts";
import { ClockServer, canShiftClocks } from "../support/clock-server.ts";

const WINDOW_MS = 1_000_000;
const BUCKET_MS = 10_000;
const CAPACITY = 10;
const RATE = perSecond((CAPACITY * 1_000) / WINDOW_MS);
const BACK_MS = [30_000, 3_600_000];
const NO_DEADLINE = { timeoutMs: 60_000 };

const providers = { Redis: createRedisProvider, Hybrid: createHybridProvider };

/** A server whose clock the tests of a block set, and a client of it. Before each test its clock is the machine's. */
function useClock(): { readonly clock: ClockServer; readonly client: Redis } {
  const used = {} as { clock: ClockServer; client: Redis };
  beforeAll(async () => {
    used.clock = await ClockServer.start();
    used.client = new Redis(used.clock.server.port);
  });
  afterAll(async () => {
    used.client.disconnect();
    await used.clock.stop();
  });
  beforeEach(async () => {
    await used.clock.shiftTo(0);
    await used.client.flushall();
  });
  return used;
}

describe.skipIf(!canShiftClocks).each(Object.entries(providers))("%s, on a clock that is set back", (_name, create) => {
  const used = useClock();
  let provider: ReturnType<typeof create>;
  let shiftMs = 0;

  beforeEach(() => {
    shiftMs = 0;
    provider = create(used.client, { windowMs: WINDOW_MS, bucketMs: BUCKET_MS, ...NO_DEADLINE });
    return () => provider.close();
  });

  /** The server's clock goes on, or back. */
  async function pass(ms: number): Promise<void> {
    shiftMs += ms;
    await used.clock.shiftTo(shiftMs);
  }

  async function inc(count = 1): Promise<Decision> {
    return provider.absolute.inc("k", RATE, count);
  }

  async function expectKeptForAWindow(): Promise<void> {
    for (const key of await used.client.keys("*")) {
      expect(await used.client.pttl(key)).toBeGreaterThan(0);
      // A lease of Hybrid may be spent for a while, and is taken for a window after that.
      expect(await used.client.pttl(key)).toBeLessThanOrEqual(2 * WINDOW_MS + BUCKET_MS);
    }
  }

  it.each(BACK_MS)("by %d ms, a full key is free again after a window", async (backMs) => {
    expect((await inc(CAPACITY)).allowed).toBe(true);
    await pass(-backMs);
    const denial = await inc();
    expect(denial.allowed).toBe(false);
    expect(denial.retryAfterMs).toBeLessThanOrEqual(WINDOW_MS);
    await expectKeptForAWindow();
    await pass(WINDOW_MS / 2);
    expect((await inc()).allowed).toBe(false);
    await pass(WINDOW_MS / 2);
    expect((await inc(CAPACITY)).allowed).toBe(true);
    expect((await inc()).allowed).toBe(false);
  });

  it.each(BACK_MS)(
    "by %d ms, a key that is half full admits the rest, and all of it after a window",
    async (backMs) => {
      expect((await inc(5)).allowed).toBe(true);
      await pass(-backMs);
      expect((await inc(6)).allowed).toBe(false);
      expect((await inc(5)).allowed).toBe(true);
      await pass(WINDOW_MS / 2);
      expect((await inc()).allowed).toBe(false);
      await pass(WINDOW_MS / 2 + BUCKET_MS);
      expect((await inc(CAPACITY)).allowed).toBe(true);
      expect((await inc()).allowed).toBe(false);
    },
  );

  it("again and again admits no more than the capacity in a window, and never holds a key for longer", async () => {
    for (let round = 0; round < 5; round++) {
      let admitted = 0;
      // Nine tenths of a window, in which the clock goes back at each step.
      for (let step = 0; step < 9; step++) {
        for (const count of [3, 1]) if ((await inc(count)).allowed) admitted += count;
        await pass(WINDOW_MS / 10);
        await pass(-BACK_MS[step % 2]!);
      }
      expect(admitted).toBeLessThanOrEqual(CAPACITY);
      expect(admitted).toBeGreaterThan(0);
      await expectKeptForAWindow();
      // A step back is seen at the next call. So what was admitted last is gone a window after that.
      await inc(CAPACITY);
      await pass(WINDOW_MS + BUCKET_MS);
    }
  });

  it("and forward again, a key counts from then on as any other", async () => {
    await inc(5);
    await pass(-3_600_000);
    await inc(5);
    await pass(3_600_000);
    expect((await inc(CAPACITY)).allowed).toBe(true);
    expect((await inc()).allowed).toBe(false);
    await expectKeptForAWindow();
    await pass(-30_000);
    expect((await inc()).allowed).toBe(false);
    await pass(30_000);
    expect((await inc()).allowed).toBe(false);
    await pass(WINDOW_MS);
    expect((await inc(CAPACITY)).allowed).toBe(true);
  });
});

describe.skipIf(!canShiftClocks)("on the server's clock", () => {
  const used = useClock();

  it.each([
    ["one by one", 1],
    ["in batches", 10],
  ])("a key whose calls come %s is kept until its newest hit has expired", async (_, atOnce) => {
    // None of these buckets divides a sixteenth of the window, and some begin in one sixteenth and end in the next.
    for (const bucketMs of [30_000, 70_000, 90_000, 110_000]) {
      const prefix = `${atOnce} ${bucketMs}`;
      const provider = createRedisProvider(used.client, { windowMs: WINDOW_MS, bucketMs, prefix, ...NO_DEADLINE });
      for (let step = 0; step < 100; step++) {
        await used.clock.shiftTo(step * 11_000);
        await Promise.all(Array.from({ length: atOnce }, (_, i) => provider.absolute.inc(`${i}`, perSecond(1))));
        // The machine's time goes on too, which may be busy.
        const state = `${prefix}:a:${WINDOW_MS}:${bucketMs}:{:${atOnce - 1}}`;
        expect(await used.client.pttl(state)).toBeGreaterThan(WINDOW_MS - 2_000);
      }
      await provider.close();
    }
  });
});

describe.skipIf(!canShiftClocks)("leases, on a clock that is set back", () => {
  const LEASE_MS = 50_000;
  const KEYS = ["{k}", "{k}b", "{k}l"];
  const used = useClock();
  let reports = 0;

  const call = { windowMs: WINDOW_MS, bucketMs: BUCKET_MS, limit: CAPACITY, rate: RATE, clockMs: undefined };

  /** How much a process gets that has nothing and wants all. */
  async function leaseOf(process: string): Promise<number> {
    const wish = { held: 0, asked: 0, needed: 0, isAlike: false, wanted: CAPACITY, leaseMs: LEASE_MS };
    const terms = { suppressionCacheMs: undefined, hardLimit: undefined, rateIsNew: false };
    const headroom = { heldHeadroom: 0, wantedHeadroom: 0 };
    const args = argumentsOf(SYNC, { ...call, ...wish, ...terms, ...headroom, process, report: ++reports, hits: [] });
    return fieldsOf(SYNC, await used.client.eval(SYNC.source, 3, ...KEYS, ...args)).granted;
  }

  async function isAdmitted(): Promise<boolean> {
    const reply = await used.client.eval(
      ABSOLUTE_INC.source,
      2,
      ...KEYS.slice(0, 2),
      ...argumentsOf(ABSOLUTE_INC, { ...call, count: 1 }),
    );
    return !Array.isArray(reply);
  }

  it("one that is not given back is taken for as long as it may be spent and a window", async () => {
    expect(await leaseOf("one")).toBe(CAPACITY);
    await used.clock.shiftTo(-3_600_000);
    expect(await isAdmitted()).toBe(false);
    await used.clock.shiftTo(-3_600_000 + WINDOW_MS);
    expect(await isAdmitted()).toBe(false);
    await used.clock.shiftTo(-3_600_000 + WINDOW_MS + LEASE_MS);
    expect(await isAdmitted()).toBe(true);
  });

  it("one that is gone stays so when all counts have expired", async () => {
    expect(await leaseOf("one")).toBe(CAPACITY);
    await used.clock.shiftTo(-3_600_000);
    expect(await isAdmitted()).toBe(false);
    await used.clock.shiftTo(-3_600_000 + WINDOW_MS + LEASE_MS);
    expect(await isAdmitted()).toBe(true);
    await used.clock.shiftTo(-3_600_000 + 2 * WINDOW_MS + LEASE_MS);
    const args = argumentsOf(ADJUST, { ...call, delta: 1, countedMs: undefined, declines: false });
    expect(await used.client.eval(ADJUST.source, 2, ...KEYS.slice(0, 2), ...args)).toBe("0");
    expect(await leaseOf("two")).toBe(CAPACITY);
  });

  it("one that is gone stays so when Redis has forgotten how far the clock went back", async () => {
    expect(await leaseOf("one")).toBe(CAPACITY);
    await used.clock.shiftTo(-3_600_000);
    await used.client.del("{k}");
    expect(await leaseOf("two")).toBe(0);
    await used.clock.shiftTo(-3_600_000 + WINDOW_MS + LEASE_MS);
    expect(await leaseOf("two")).toBe(CAPACITY);
  });
});
