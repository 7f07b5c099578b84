// The maths in TypeScript and the maths in Lua give the same, to the last bit.

import fc from "fast-check";
import type { Rate } from "trypema";
import { describe, expect, it } from "vitest";
import { packFunction } from "../../scripts/lua-packer.js";
import { cellStartOf } from "../../src/strategy/bucket.ts";
import { capacityIn } from "../../src/strategy/capacity.ts";
import { recentPerSecond, suppressionFactor } from "../../src/strategy/suppressed.ts";
import { useRedis } from "../support/use-redis.ts";
import { CAPACITIES, CELLS, FACTORS, RECENT_RATES } from "./strategy.ts";

const redis = useRedis();

/** What the Lua function of this name gives, in a script of its own. */
async function lua(name: string, args: readonly unknown[]): Promise<unknown> {
  const reply = (await redis.client.eval(packFunction(name), 0, JSON.stringify(args))) as string;
  return JSON.parse(reply);
}

const typescript = {
  capacity_in: capacityIn,
  cell_start_of: cellStartOf,
  recent_per_second: recentPerSecond,
  suppression_factor: (rate: number, ...others: [number, number, number]) => suppressionFactor(rate as Rate, ...others),
};

const vectors = {
  capacity_in: CAPACITIES,
  cell_start_of: CELLS,
  recent_per_second: RECENT_RATES,
  suppression_factor: FACTORS,
};

const positive = fc.double({ min: 1e-6, max: 1e16, noNaN: true, noDefaultInfinity: true });
const timeMs = fc.double({ min: -1e6, max: 2e12, noNaN: true });
const widthMs = fc.oneof(fc.integer({ min: 1, max: 86_400_000 }), fc.double({ min: 1, max: 1e6, noNaN: true }));
const count = fc.oneof(fc.nat(20), fc.maxSafeNat());
const random = {
  capacity_in: fc.tuple(positive, widthMs),
  cell_start_of: fc.tuple(timeMs, widthMs),
  recent_per_second: fc
    .tuple(count, timeMs, widthMs, fc.constantFrom(250, 1_000), fc.double({ min: 0, max: 1_000, noNaN: true }))
    .map(([sum, hitMs, bucketMs, spanMs, ageMs]) => [sum, hitMs, bucketMs, spanMs, hitMs + ageMs]),
  suppression_factor: fc.tuple(positive, count, widthMs, fc.oneof(fc.constant(0), positive)),
};

describe.each(Object.keys(typescript) as (keyof typeof typescript)[])("%s", (name) => {
  const inTypeScript = typescript[name] as (...args: unknown[]) => unknown;

  it.each(vectors[name].map((vector) => ({ args: vector.slice(0, -1), result: vector.at(-1) })))(
    "of $args is $result in both languages",
    async ({ args, result }) => {
      expect(inTypeScript(...args)).toEqual(result);
      expect(await lua(name, args)).toEqual(result);
    },
  );

  it("of anything is the same in both languages", async () => {
    await fc.assert(
      fc.asyncProperty(random[name] as fc.Arbitrary<unknown[]>, async (args) => {
        // JSON knows no -0, and no count depends on it.
        expect(await lua(name, args)).toEqual(JSON.parse(JSON.stringify(inTypeScript(...args))));
      }),
      { numRuns: 500 },
    );
  });
});
