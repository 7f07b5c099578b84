// One side of the comparison of speed: run with its name and the number of keys.

import { MemoryStore, type Options } from "express-rate-limit";
import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { createLimits, createLocalProvider, type LocalProvider, perHour, perSecond, type Rate } from "trypema";
import { Guard, type Verdict } from "trypema/http";
import { throttlerStorage } from "trypema/nestjs";
import { type Side, serve } from "./players.ts";
import { Calls, makeKeys } from "./workloads.ts";

const WINDOW = { windowMs: 10_000, bucketMs: 10 };
/** A capacity that nobody reaches. */
const AMPLE = perSecond(1e8);
/** For what is rejected: a window that no turn outlasts, on a slow machine either. */
const LONG_WINDOW = { windowMs: 3_600_000, bucketMs: 10 };
/** A capacity of 2 in that. */
const SCARCE = perHour(2);

const [name = "", count] = process.argv.slice(2);
const keys = makeKeys(Number(count));
const calls = new Calls(keys);

/** Calls with one rate; a process has one side, so nothing else uses the compiled loop. */
function callsOf(limiter: LocalProvider["absolute" | "suppressed"], rate: Rate): Side["run"] {
  return (from, to) => {
    let admitted = 0;
    for (let i = from; i < to; i++) if (limiter.inc(calls.key(i), rate).allowed) admitted++;
    return admitted;
  };
}

/** Calls that all fit under the limit. */
function admitting(limiter: LocalProvider["absolute" | "suppressed"]): Side {
  const prepare = () => {
    for (const key of keys) limiter.inc(key, AMPLE);
  };
  return { admits: "all", prepare, run: callsOf(limiter, AMPLE) };
}

const sides: Record<string, () => Side | Promise<Side>> = {
  floor() {
    const places = new Map(keys.map((key, place) => [key, place]));
    const values = new Float64Array(keys.length);
    const run = (from: number, to: number) => {
      for (let i = from; i < to; i++) values[places.get(calls.key(i))!]! += performance.now();
      return to - from;
    };
    return { admits: "all", prepare: () => {}, run };
  },

  "absolute, admitted"() {
    return admitting(createLocalProvider(WINDOW).absolute);
  },

  /** Events are about what happens seldom, so a listener must cost a call nothing. */
  "absolute, admitted, with onEvent"() {
    return admitting(createLocalProvider({ ...WINDOW, onEvent: () => {} }).absolute);
  },

  "absolute, rejected"() {
    const { absolute } = createLocalProvider(LONG_WINDOW);
    const prepare = () => {
      absolute.clear();
      for (const key of keys) absolute.inc(key, SCARCE, 2);
    };
    return { admits: "none", prepare, run: callsOf(absolute, SCARCE) };
  },

  "suppressed, under the limit"() {
    return admitting(createLocalProvider(WINDOW).suppressed);
  },

  "suppressed, over the limit"() {
    // Draws at Math.random's cost, but never a lucky one, so that the check can be exact.
    const random = () => Math.random() * 1e-9;
    const { suppressed } = createLocalProvider({ ...LONG_WINDOW, random });
    const prepare = () => {
      suppressed.clear();
      for (const key of keys) {
        suppressed.inc(key, SCARCE, 2);
        suppressed.inc(key, SCARCE, 10);
      }
    };
    return { admits: "none", prepare, run: callsOf(suppressed, SCARCE) };
  },

  "a take of three limits, admitted"() {
    const limit = 1e9;
    const limits = createLimits(createLocalProvider(), {
      second: { limit, windowMs: 1_000, bucketMs: 10 },
      minute: { limit, windowMs: 60_000 },
      day: { limit, windowMs: 86_400_000, bucketMs: 60_000 },
    });
    const prepare = () => {
      for (const key of keys) limits.take(key);
    };
    const run = (from: number, to: number) => {
      let admitted = 0;
      for (let i = from; i < to; i++) if (limits.take(calls.key(i)).allowed) admitted++;
      return admitted;
    };
    return { admits: "all", prepare, run };
  },

  /** With the header fields that an adapter asks for. */
  "a guard of trypema/http, admitted"() {
    const guard = new Guard<{ readonly key: string }>({
      provider: createLocalProvider(WINDOW),
      rate: AMPLE,
      key: ({ raw }) => raw.key,
      onNotice: false,
    });
    const header = () => undefined;
    const check = (key: string) =>
      guard.check({ raw: { key }, method: "GET", path: "/", peerAddress: undefined, header }) as Verdict;
    const prepare = () => {
      for (const key of keys) check(key);
    };
    const run = (from: number, to: number) => {
      let admitted = 0;
      for (let i = from; i < to; i++) if (check(calls.key(i)).fields.length > 0) admitted++;
      return admitted;
    };
    return { admits: "all", prepare, run };
  },

  /** Awaited, as the guard of @nestjs/throttler does. */
  async "throttlerStorage of trypema/nestjs, admitted"() {
    const storage = throttlerStorage(createLocalProvider());
    const increment = (key: string) => storage.increment(key, WINDOW.windowMs, 1e9, 0, "default");
    const prepare = async () => {
      for (const key of keys) await increment(key);
    };
    const run = async (from: number, to: number) => {
      let admitted = 0;
      for (let i = from; i < to; i++) if (!(await increment(calls.key(i))).isBlocked) admitted++;
      return admitted;
    };
    return { admits: "all", prepare, run };
  },

  /** Awaited, as its middleware does; it counts, and the middleware compares. */
  async "express-rate-limit MemoryStore"() {
    const store = new MemoryStore();
    store.init({ windowMs: WINDOW.windowMs } as Options);
    const prepare = async () => {
      for (const key of keys) await store.increment(key);
    };
    const run = async (from: number, to: number) => {
      let admitted = 0;
      for (let i = from; i < to; i++) if ((await store.increment(calls.key(i))).totalHits < 1e9) admitted++;
      return admitted;
    };
    return { admits: "all", prepare, run };
  },

  async "rate-limiter-flexible, admitted"() {
    const limiter = new RateLimiterMemory({ points: 1e9, duration: WINDOW.windowMs / 1_000 });
    const prepare = async () => {
      for (const key of keys) await limiter.consume(key);
    };
    const run = async (from: number, to: number) => {
      for (let i = from; i < to; i++) await limiter.consume(calls.key(i));
      return to - from;
    };
    return { admits: "all", prepare, run };
  },

  async "rate-limiter-flexible, rejected"() {
    const limiter = new RateLimiterMemory({ points: 1, duration: LONG_WINDOW.windowMs / 1_000 });
    const prepare = async () => {
      for (const key of keys) {
        await limiter.delete(key);
        await limiter.consume(key);
      }
    };
    const run = async (from: number, to: number) => {
      let rejected = 0;
      for (let i = from; i < to; i++) {
        await limiter.consume(calls.key(i)).catch((denial) => {
          if (denial instanceof RateLimiterRes) rejected++;
          else throw denial;
        });
      }
      return to - from - rejected;
    };
    return { admits: "none", prepare, run };
  },
};

serve(await sides[name]!());
