import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { perSecond } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { createRedisProvider } from "trypema/redis";
import { expect, it } from "vitest";
import { ALONE } from "../support/in-crowd.ts";
import { ROOT } from "../support/process.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

const RATE = perSecond(3);

it("a user with the rights that docs/redis.md names can do all that it says, and has no use for fewer", async () => {
  const [, rule] = /^ACL (SETUSER limits .*)$/m.exec(readFileSync(join(ROOT, "docs/redis.md"), "utf8"))!;
  await redis.client.acl(...(rule!.split(" ") as ["SETUSER", string]));
  const { port } = redis.client.options;
  const client = new Redis({ port: port!, username: "limits", password: "password", enableReadyCheck: false });
  try {
    let nowMs = 0;
    // Each call begins a bucket.
    const options = { windowMs: 1_000, bucketMs: 1, timeoutMs: 30_000, clock: () => nowMs++ };
    const { absolute, suppressed } = createRedisProvider(client, options);
    await createRedisProvider(client, { timeoutMs: 30_000 }).absolute.inc("key", RATE);
    for (const [limiter, rate] of [
      [absolute, perSecond(100)],
      [suppressed, RATE],
    ] as const) {
      for (let call = 0; call < 30; call++) await limiter.inc("key", rate);
      for (let round = 0; round < 12; round++) {
        await Promise.all([...ALONE, "key", "2"].map((key) => limiter.inc(key, rate)));
      }
      await limiter.isAllowed("key");
      await limiter.adjust("key", -15);
      expect((await limiter.get("key")).total).toBeGreaterThan(0);
      await limiter.setIf("key", RATE, { op: "always" }, 2, "preserve-newest");
      await limiter.adjust("key", -1);
      await limiter.delete("key");
    }
    expect(await redis.client.acl("LOG")).toEqual([]);
    const used = await redis.client.info("commandstats");
    for (const right of rule!.match(/(?<=\+)\w+/g)!) expect(used).toContain(`cmdstat_${right}:`);
    await expect(absolute.clear()).rejects.toThrow(/NOPERM/);
    await redis.client.acl("SETUSER", "limits", "+scan", "+unlink");
    await absolute.inc("key", RATE);
    await absolute.clear();
    expect((await absolute.get("key")).total).toBe(0);
    await redis.client.acl("SETUSER", "limits", "+hget", "+hgetall", "+hset", "+hdel");
    const hybrid = createHybridProvider(client, {
      windowMs: 1_000,
      bucketMs: 1,
      timeoutMs: 30_000,
      onFailure: "throw",
    });
    for (let call = 0; call < 30; call++) await hybrid.absolute.inc("key", RATE);
    await hybrid.close();
  } finally {
    client.disconnect();
  }
});
