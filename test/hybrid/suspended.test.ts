// A machine that was suspended, as a real Node process sees it when the machine wakes: its wall clock has gone on, and
// its monotonic clock hasn't. The wall clock of the process and of Redis are those of test/support/clock-server.ts.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Redis } from "ioredis";
import { perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertPackageBuilt } from "../support/built.ts";
import { ClockServer, canShiftClocks } from "../support/clock-server.ts";
import { ROOT } from "../support/process.ts";

const WINDOW_MS = 120_000;
const CAPACITY = 1_000;
/** Longer than the lease and a window, so that Redis has forgotten both. */
const SUSPENDED_MS = 3_600_000;

/** Has a lease before the machine is suspended, and calls when it has woken. Its leases last for two minutes. */
const PROGRAM = `
  import { Redis } from "ioredis";
  import { perSecond } from "trypema";
  import { createHybridProvider } from "trypema/hybrid";
  const client = new Redis(Number(process.argv[1]));
  const { absolute } = createHybridProvider(client, { windowMs: ${WINDOW_MS}, timeoutMs: 60_000 });
  const rate = perSecond(${(CAPACITY * 1_000) / WINDOW_MS});
  while ((absolute.getEstimate("k")?.leased ?? 0) < 10) await absolute.inc("k", rate);
  console.log(JSON.stringify({ sleptAtMs: performance.now() }));
  process.stdin.once("data", async () => {
    const wokeAtMs = performance.now();
    const tried = absolute.tryInc("k", rate)?.allowed ?? "unknown";
    const { allowed } = await absolute.inc("k", rate);
    console.log(JSON.stringify({ wokeAtMs, tried, allowed }));
    client.disconnect();
    process.exit();
  });
`;

describe.skipIf(!canShiftClocks)("a process on a machine that was suspended", () => {
  let clock: ClockServer;
  let client: Redis;
  let child: ChildProcess;

  beforeEach(async () => {
    assertPackageBuilt();
    clock = await ClockServer.start();
    client = new Redis(clock.server.port);
    const env = { ...process.env, ...clock.environment };
    const args = ["--input-type=module", "--eval", PROGRAM, String(clock.server.port)];
    child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ["pipe", "pipe", "inherit"] });
  });
  afterEach(async () => {
    child.kill("SIGKILL");
    client.disconnect();
    await clock.stop();
  });

  it("spends no lease of before, which Redis has given to others since", async () => {
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const { sleptAtMs } = JSON.parse((await lines.next()).value!);
    await clock.shiftTo(SUSPENDED_MS);
    const { absolute } = createRedisProvider(client, { windowMs: WINDOW_MS, timeoutMs: 60_000 });
    const rate = perSecond((CAPACITY * 1_000) / WINDOW_MS);
    expect(await absolute.inc("k", rate, CAPACITY)).toMatchObject({ allowed: true });
    child.stdin!.write("wake\n");
    const { wokeAtMs, ...woken } = JSON.parse((await lines.next()).value!);
    expect(woken).toEqual({ tried: "unknown", allowed: false });
    // Otherwise its monotonic clock would have told it that the lease is over.
    expect(wokeAtMs - sleptAtMs).toBeLessThan(SUSPENDED_MS / 2);
  });
});
