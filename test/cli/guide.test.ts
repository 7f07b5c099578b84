// docs/cli.md shows what the commands print. Each is run here, and prints just that.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createLimits, days, minutes, perHour, trackLimitedKeys } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { beforeAll, expect, it } from "vitest";
import { ROOT } from "../support/process.ts";
import { useRedis } from "../support/use-redis.ts";
import { MAIN, runProgram, useFolder } from "./run.ts";
import { combinedLine, sampleRequests } from "./samples.ts";

const redis = useRedis();
const folder = useFolder();
folder.write("access.log", `${sampleRequests().map(combinedLine).join("\n")}\n`);

const guide = readFileSync(join(ROOT, "docs", "cli.md"), "utf8");
const sessions = [...guide.matchAll(/^```console\n\$ ([^\n]*)\n(.*?)^```$/gms)].map(
  ([, command = "", output = ""]) => ({
    command,
    output,
  }),
);

beforeAll(async () => {
  const provider = createRedisProvider(redis.client, { windowMs: 3_600_000, timeoutMs: 30_000 });
  const limits = createLimits(provider, { quota: { limit: 5_000, windowMs: days(1), bucketMs: minutes(1) } });
  const limited = trackLimitedKeys(provider, { plain: true });
  await limits.take("user-1", 5_000);
  for (let i = 0; i < 212; i++) await limits.take("user-1");
  for (let i = 0; i < 37; i++) await provider.absolute.inc("203.0.113.9", perHour(2));
  await provider.absolute.delete("203.0.113.9");
  await limited.list();
  await limits.take("user-2", 1_250);
  await provider.suppressed.inc("user-1", perHour(1_000), 30);
  await redis.client.config("SET", "maxmemory", "100mb");
  await redis.client.config("SET", "maxmemory-policy", "allkeys-lru");
});

/** What `doctor` measures differs from server to server, and from time to time. A busy machine's latency is wrong. */
function comparable(command: string, output: string): string {
  if (!command.includes("doctor")) return output;
  return output
    .replace(/^wrong( {2}latency: .*? at most): too near .*\n +→ set timeoutMs .*$/m, "ok   $1")
    .replaceAll(/\b(Redis|Valkey) [\d.]+/g, "Redis")
    .replaceAll(/\d[\d.]*( \d{3})*( MB| ms| s\b| calls?)?/g, "#");
}

it.each(sessions)("$command", async ({ command, output }) => {
  const line = command.replaceAll("npx trypema", `"${process.execPath}" "${MAIN}"`);
  const env = { REDIS_URL: `redis://127.0.0.1:${redis.client.options.port}` };
  // Where it runs there is no client, so the one of this package is taken.
  const { stdout, stderr, code } = await runProgram("sh", ["-c", line], { cwd: folder.path, env });
  expect(comparable(command, stdout + stderr)).toBe(comparable(command, output));
  expect(code).toBe(output.includes("wrong ") ? 1 : 0);
});

it("finds them", () => {
  expect(sessions.length).toBe(guide.split("```console\n$ ").length - 1);
  expect(sessions.length).toBeGreaterThan(4);
});
