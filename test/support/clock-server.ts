// A Redis server whose wall clock a test sets, while the machine's goes on. Other programs may see the same clock.

import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { installedServers, RedisServer } from "./redis.ts";

const SHIM = fileURLToPath(new URL("clock-shim.c", import.meta.url));

/** Whether there is a C compiler, and a loader that knows LD_PRELOAD. */
export const canShiftClocks =
  process.platform === "linux" && spawnSync("gcc", ["--version"], { stdio: "ignore" }).error === undefined;

/** More than a reply takes on a busy machine, and less than each step of a test. */
const SEEN_WITHIN_MS = 5_000;

export class ClockServer {
  readonly server: RedisServer;
  /** The variables with which a program sees the server's wall clock. Its monotonic clock is the machine's. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #folder: string;
  readonly #shift: number;
  readonly #client: Redis;

  private constructor(server: RedisServer, environment: Record<string, string>, folder: string, shift: number) {
    this.server = server;
    this.#client = new Redis(server.port);
    this.environment = environment;
    this.#folder = folder;
    this.#shift = shift;
  }

  static async start(): Promise<ClockServer> {
    const folder = mkdtempSync(join(tmpdir(), "trypema-clock-"));
    const [library, shift, program] = ["shim.so", "shift", "server.sh"].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const { status, stderr } = spawnSync("gcc", ["-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"]);
    if (status !== 0) throw new Error(`gcc: ${stderr}`);
    writeFileSync(shift, Buffer.alloc(8));
    const { REDIS_SERVER: named } = process.env;
    const environment = { LD_PRELOAD: library, CLOCK_SHIFT: shift };
    const assignments = Object.entries(environment).map(([name, value]) => `${name}='${value}'`);
    writeFileSync(program, `#!/bin/sh\n${assignments.join(" ")} exec ${named ?? installedServers()[0]} "$@"\n`, {
      mode: 0o755,
    });
    Object.assign(process.env, { REDIS_SERVER: program });
    try {
      return new ClockServer(await RedisServer.start(), environment, folder, openSync(shift, "r+"));
    } finally {
      if (named === undefined) Reflect.deleteProperty(process.env, "REDIS_SERVER");
      else Object.assign(process.env, { REDIS_SERVER: named });
    }
  }

  /**
   * Sets the server's clock to so much after the machine's, and resolves when the server tells that time. Valkey 9.1
   * looks at the wall clock only some ten times a second. In between it adds what its monotonic clock says.
   */
  async shiftTo(ms: number): Promise<void> {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(ms) * 1_000n);
    writeSync(this.#shift, bytes, 0, 8, 0);
    while (Math.abs((await this.#aheadMs()) - ms) > SEEN_WITHIN_MS);
  }

  /** How much later it is for the server than for the machine. */
  async #aheadMs(): Promise<number> {
    const [seconds, microseconds] = await this.#client.time();
    return Number(seconds) * 1_000 + Number(microseconds) / 1_000 - Date.now();
  }

  async stop(): Promise<void> {
    this.#client.disconnect();
    await this.server.stop();
    closeSync(this.#shift);
    rmSync(this.#folder, { recursive: true });
  }
}
