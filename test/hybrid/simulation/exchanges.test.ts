// What holds between one process and Redis for each key, whatever is called: one exchange at a time, and a process
// never says that less is used than Redis counts.

import { type Awaitable, type Decision, perSecond } from "trypema";
import { expect, it } from "vitest";
import { argumentsOf } from "../../../src/redis/commands.ts";
import { KeyNames } from "../../../src/redis/keys.ts";
import { PEEK } from "../../../src/redis/lua.generated.ts";
import { peekFrom } from "../../../src/redis/peek.ts";
import { cases, simulate } from "../../support/simulation/fleet.ts";
import { HybridProcess } from "../../support/simulation/process.ts";
import { useSimulation } from "../../support/simulation/use-simulation.ts";
import type { World } from "../../support/simulation/world.ts";

const createWorld = useSimulation(4);

const STRATEGIES = ["absolute", "suppressed"] as const;

it.each(STRATEGIES)("%s: of each key one report at a time is on its way", async (strategy) => {
  let requests = 0;
  await simulate({ firstSeed: 1, seeds: 8 }, async (seed) => {
    const world = createWorld(seed);
    world.network.delayMs = world.pick(0.1, 2, 20);
    // No batch, because looks would have a time each in one. And long enough for all answers, because a report that
    // was given up may be on its way still when the next is sent.
    const options = { windowMs: 250, timeoutMs: 1_000, syncIntervalMs: world.pick(1, 10), batch: false as const };
    const process = new HybridProcess(world, options);
    const limiter = process.provider[strategy];
    const rates = [perSecond(20), perSecond(200)];
    const key = () => world.pick("a", "a", "b");
    const others: (() => unknown)[] = [
      () => limiter.adjust(key(), -1),
      () => limiter.get(key()),
      () => limiter.setRate(key(), world.pick(...rates)),
      () => limiter.tryInc(key(), world.pick(...rates)),
    ];
    process.repeat(
      () => process.call(strategy, key(), world.pick(...rates), world.pick(1, 1, 2, 5)),
      () => world.pause(600),
    );
    // Takes that Redis decides ask for a lease after that.
    const limits = process.limits({ one: { limit: 200, windowMs: 250, strategy } });
    process.repeat(
      () => process.take(limits, ["one"], key()),
      () => world.pause(600),
    );
    process.repeat(
      () => process.do(world.pick(...others)),
      () => world.pause(60),
    );
    await world.runUntil(800);
    expect(process.mostReports).toBe(1);
    requests += process.requests;
  });
  expect(requests).toBeGreaterThan(8 * 20);
});

/** What Redis counts of a key now, without expired hits. */
async function countedOf(
  world: World,
  options: { windowMs: number; bucketMs: number },
  strategy: "absolute" | "suppressed",
) {
  const names = new KeyNames(world.prefix, { name: "", strategy, ...options });
  const keys = names.of("a");
  const args = argumentsOf(PEEK, { ...options, count: 1, sheds: true, rate: undefined, clockMs: undefined });
  const outcome = await world.execute("eval", [PEEK.source, keys.length, ...keys, ...args]);
  if (outcome.status === "rejected") throw outcome.reason;
  const peek = peekFrom(outcome.value, options.windowMs);
  return peek === undefined ? 0 : peek.observed - peek.declined;
}

it.each(STRATEGIES.flatMap((strategy) => cases(2, 20).map((seeds) => ({ strategy, ...seeds }))))(
  "$strategy: no decision of a process that is alone says less used than Redis counts: $seeds seeds from $firstSeed",
  async ({ strategy, ...seeds }) => {
    const seen = { here: 0, late: 0, full: 0 };
    await simulate(seeds, async (seed) => {
      const world = createWorld(seed);
      world.network.delayMs = world.pick(0.1, 2, 20);
      world.network.repeated = world.pick(0, 0.3);
      const windowMs = world.pick(100, 250);
      const limit = world.pick(3, 10, 40);
      const window = { windowMs, bucketMs: world.pick(1, windowMs / 10, windowMs) };
      const process = new HybridProcess(world, { ...window, timeoutMs: 1_000, syncIntervalMs: world.pick(1, 10) });
      const rate = perSecond((limit * 1_000) / windowMs);
      let used = 0;
      let waiting = 0;
      const check = ({ remaining }: Decision, when: "here" | "late") => {
        used = limit - remaining;
        // Redis may have counted a call that waits, though its answer isn't here yet.
        if (waiting > 0) return;
        seen[when]++;
        if (remaining === 0) seen.full++;
        // Redis is asked before time goes on, and when all calls have their decisions that the same answer decides.
        world.at(world.nowMs, async () => {
          const counted = await countedOf(world, window, strategy);
          expect(used, "used").toBeGreaterThanOrEqual(Math.min(limit, counted));
        });
      };
      const call = () => {
        const inc = () => process.provider[strategy].inc("a", rate, world.pick(1, 1, 1, 2, 5));
        const decision: Awaitable<Decision> = process.do(inc);
        if (!(decision instanceof Promise)) {
          check(decision, "here");
          return;
        }
        waiting++;
        decision.then((late) => {
          waiting--;
          check(late, "late");
        });
      };
      process.repeat(call, () => world.pause(world.pick(0.5, 2) * rate));
      await world.runUntil(5 * windowMs);
    });
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(seeds.seeds);
  },
);
