import { createLocalProvider, perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { runScript } from "../../test/support/built.ts";
import { loadOf } from "./load.ts";
import { DEFAULTS, fromHash, MOST_CALLS, RANGES, type Settings, settled, toHash } from "./settings.ts";
import { keyOf, simulate } from "./simulation.ts";
import { snippetOf } from "./snippet.ts";
import { denialsOf, fateOf, liveBuckets, secondsOf, totalsOf } from "./views.ts";

const TRACE = "3.5 bob\n0.5 alice\n0.5 alice\n\n2026-01-01 x";

function settings(change: Partial<Settings> = {}): Settings {
  return settled({ ...DEFAULTS, seconds: 20, windowMs: 2_000, offeredPerSecond: 300, ...change });
}

const LOADS: Partial<Settings>[] = [
  { load: "steady" },
  { load: "burst", offeredPerSecond: 900 },
  { load: "ramp" },
  { load: "on-off", bucketMs: 700 },
  { load: "clients", limit: "together", client: 2 },
  { load: "clients", limit: "each", client: 1, ratePerSecond: 20 },
  { load: "on-off", secondLimit: 700, secondWindowMs: 5_000 },
  { load: "trace", trace: "0 a\n0.1 a\n0.2 b\n3 a\n9 b", ratePerSecond: 0.5 },
];

describe.each(LOADS)("a run of %j", (change) => {
  const simulation = simulate(settings(change));

  it("shows just the buckets that the library has", () => {
    for (const run of simulation.runs) {
      const usages = run.frames[keyOf(simulation.settings.client, simulation.settings)]!;
      let live = 0;
      for (let frame = 0; frame < usages.length; frame += 7) {
        const buckets = liveBuckets(simulation, run, frame * run.frameMs);
        const accepted = buckets.reduce((sum, bucket) => sum + bucket.accepted, 0);
        const declined = buckets.reduce((sum, bucket) => sum + bucket.declined, 0);
        expect([accepted, declined]).toEqual([usages[frame]!.accepted, usages[frame]!.declined]);
        live += buckets.length;
      }
      expect(live).toBeGreaterThan(0);
    }
  });

  it("adds up: every call is in a second, and in one client's fate", () => {
    for (const run of simulation.runs) {
      const fates = simulation.load.clients.map((_, client) => {
        return fateOf({ ...simulation, settings: { ...simulation.settings, client } }, run).length;
      });
      expect(fates.reduce((sum, count) => sum + count)).toBe(simulation.load.calls.length);
      const { offered, admitted } = totalsOf(simulation, run);
      const seconds = secondsOf(simulation, run);
      expect(seconds.reduce((sum, second) => sum + second.offered, 0)).toBe(offered);
      expect(admitted).toBeGreaterThan(0);
      expect(admitted).toBeLessThanOrEqual(offered);
    }
  });

  it("is the same each time", () => {
    expect(simulate(settings(change)).runs).toEqual(simulation.runs);
  });
});

it("asks the library itself", () => {
  const simulation = simulate(settings({ strategy: "absolute" }));
  let nowMs = 0;
  const { absolute } = createLocalProvider({ windowMs: 2_000, bucketMs: 100, clock: () => nowMs });
  for (const { ms, allowed, retryAfterMs } of simulation.runs[0]!.answers) {
    nowMs = ms;
    expect(absolute.inc("0", perSecond(100))).toMatchObject({ allowed, retryAfterMs });
  }
});

describe("a second limit", () => {
  const two = settings({ strategy: "absolute", seconds: 30, secondLimit: 700, secondWindowMs: 10_000 });
  const run = simulate(two).runs[0]!;

  it("is checked as one with the first: both admit all that they may, and no more", () => {
    const admitted = run.answers.filter(({ allowed }) => allowed).map(({ ms }) => ms);
    for (const [windowMs, limit] of [
      [2_000, 200],
      [10_000, 700],
    ] as const) {
      const inWindowOf = (ms: number) => admitted.filter((other) => other > ms - windowMs && other <= ms).length;
      expect(Math.max(...admitted.map(inWindowOf))).toBe(limit);
    }
  });

  it("is marked where it denies, and so is the first", () => {
    const simulation = simulate(two);
    const { first, second } = denialsOf(simulation, run);
    expect([first > 100, second > 100]).toEqual([true, true]);
    const { offered, admitted } = totalsOf(simulation, run);
    expect(first + second).toBe(offered - admitted);
    for (const { allowed, deniedBy } of run.answers) expect(deniedBy === undefined).toBe(allowed);
  });

  it("is none by default: what the first denies is all that is denied", () => {
    const simulation = simulate(settings());
    for (const one of simulation.runs) expect(denialsOf(simulation, one)).toMatchObject({ second: 0 });
  });

  it.each(["both", "absolute", "suppressed"] as const)("gives code that runs: %s", async (strategy) => {
    const code = snippetOf({ ...two, strategy });
    expect(code).toContain("second: { limit: 700, windowMs: 10_000 }");
    expect(code.includes("suppressed")).toBe(strategy === "suppressed");
    const { stdout } = await runScript(`${code}\nconsole.log(limits.limiter("second").get("everybody").total);`);
    expect(stdout).toBe("1\n");
  });
});

it("offers the shape that was asked for", () => {
  const perHalf = (load: Settings["load"]) => {
    const { calls } = loadOf(settings({ load, offeredPerSecond: 1_000 }));
    return [calls.filter(({ ms }) => ms < 10_000).length, calls.filter(({ ms }) => ms >= 10_000).length] as const;
  };
  const [steady, later] = perHalf("steady");
  expect(Math.abs(steady - 10_000) + Math.abs(later - 10_000)).toBeLessThan(1_000);
  const [low, high] = perHalf("ramp");
  expect(high / low).toBeGreaterThan(2.5);
  const { calls } = loadOf(settings({ load: "on-off" }));
  expect(calls.every(({ ms }) => Math.floor(ms / 2_000) % 2 === 0)).toBe(true);
  const clients = loadOf(settings({ load: "clients", clients: 3, offeredPerSecond: 1_000 })).calls;
  const counts = [0, 1, 2].map((client) => clients.filter((call) => call.client === client).length);
  expect(counts[1]! / counts[0]!).toBeGreaterThan(1.7);
  expect(counts[2]! / counts[1]!).toBeGreaterThan(1.7);
});

describe("a trace", () => {
  it("is read line by line, in any order, from its first call on", () => {
    const load = loadOf(settings({ load: "trace", trace: "3.5 bob\n0.5,alice\n\n 1.5\n" }));
    expect(load.problem).toBeUndefined();
    expect(load.clients).toEqual(["bob", "alice", "the client"]);
    expect(load.calls).toEqual([
      { ms: 0, client: 1 },
      { ms: 1_000, client: 2 },
      { ms: 3_000, client: 0 },
    ]);
  });

  it("may have dates", () => {
    const trace = "2026-01-01T00:00:01Z\n2026-01-01T00:00:00.250Z";
    expect(loadOf(settings({ load: "trace", trace })).calls.map(({ ms }) => ms)).toEqual([0, 750]);
  });

  it.each([
    ["", /Paste/],
    ["x y", /Line 1/],
    ["1\n2\noops", /Line 3/],
    [TRACE, /an hour/],
    [Array.from({ length: 51 }, (_, i) => `${i} c${i}`).join("\n"), /50 clients/],
  ])("that can't be run says why: %j", (trace, problem) => {
    expect(loadOf(settings({ load: "trace", trace })).problem).toMatch(problem);
    expect(() => simulate(settings({ load: "trace", trace }))).not.toThrow();
  });
});

describe("the URL", () => {
  it("has what differs from the defaults, and gives it back", () => {
    expect(toHash(DEFAULTS)).toBe("");
    expect(fromHash("")).toEqual(DEFAULTS);
    const other = settings({ load: "trace", trace: "0 a&b=c\n1 d%", hardLimitFactor: 2.5, seed: 7 });
    expect(fromHash(`#${toHash(other)}`)).toEqual(other);
    expect(toHash(settled({ ...DEFAULTS, ratePerSecond: 5.5 }))).toBe("ratePerSecond=5.5");
  });

  it("takes nothing from strangers that can't be run", () => {
    for (const value of ["", "NaN", "-1", "1e99", "Infinity", "x", "0", "0.0001"]) {
      for (const name of Object.keys(RANGES)) {
        const read = fromHash(`#${name}=${value}&load=clients`);
        for (const [key, { least, most }] of Object.entries(RANGES)) {
          expect(read[key as keyof Settings]).toBeGreaterThanOrEqual(least);
          expect(read[key as keyof Settings]).toBeLessThanOrEqual(most);
        }
        expect(read.seconds * read.offeredPerSecond).toBeLessThanOrEqual(MOST_CALLS);
        expect(() => createLocalProvider(read && { windowMs: read.windowMs, bucketMs: read.bucketMs })).not.toThrow();
      }
    }
    expect(fromHash("#strategy=evil&load=__proto__&limit=&nothing=1&toString=2")).toEqual(DEFAULTS);
  });
});

it.each(["both", "absolute", "suppressed"] as const)("gives code that runs: %s", async (strategy) => {
  const code = snippetOf(settings({ strategy, windowMs: 1_500, ratePerSecond: 1_000.5 }));
  expect(code).toContain("windowMs: 1_500");
  expect(code).toContain("perSecond(1000.5)");
  const limited = JSON.stringify(strategy === "both" ? "absolute" : strategy);
  const { stdout } = await runScript(`${code}\nconsole.log(provider[${limited}].get("everybody").total);`);
  expect(stdout).toBe("1\n");
});
