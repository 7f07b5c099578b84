// Redis servers of the tests' own, on free ports and with nothing on disk: a running one is never touched.

import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

/** The programs that are tried, in this order; REDIS_SERVER names another. */
const SERVERS = ["redis-server", "valkey-server"];

const READY = /ready to accept connections/i;

/** Those of the programs that are on the PATH. */
export function installedServers(): string[] {
  return SERVERS.filter((program) => spawnSync(program, ["--version"], { stdio: "ignore" }).error === undefined);
}

export class RedisServer {
  readonly port: number;
  readonly #folder: string;
  readonly #arguments: readonly string[];
  #process!: ChildProcess;

  static readonly #running = new Set<RedisServer>();

  static {
    // None outlives a program that ends without stopping it.
    process.once("exit", () => {
      for (const server of RedisServer.#running) server.#end();
    });
  }

  private constructor(port: number, folder: string, args: readonly string[]) {
    this.port = port;
    this.#folder = folder;
    this.#arguments = args;
  }

  static start(port?: number, ...args: string[]): Promise<RedisServer> {
    return RedisServer.#start(port, READY, ["--save", "", ...args]);
  }

  /**
   * A Sentinel that decides alone about the master that it knows by `name`, when it is told to fail over. By itself it
   * would do that whenever a busy machine holds the master up.
   */
  static startSentinel(name: string, masterPort: number): Promise<RedisServer> {
    const lines = [
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} 1`,
      `sentinel down-after-milliseconds ${name} 3600000`,
      `sentinel failover-timeout ${name} 60000`,
    ];
    return RedisServer.#start(undefined, /\+monitor master/, ["--sentinel"], lines.join("\n"));
  }

  static async #start(port: number | undefined, ready: RegExp, args: string[], config = ""): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const server = RedisServer.#prepare(port ?? (await freePort()), args, config);
      try {
        await server.#launch(ready);
        return server;
      } catch (error) {
        await server.stop();
        // Somebody else took the port since it was found free.
        if (port === undefined && attempt < 5 && /in use/.test(String(error))) continue;
        throw error;
      }
    }
  }

  static #prepare(port: number, args: readonly string[], config: string): RedisServer {
    const folder = mkdtempSync(join(tmpdir(), "trypema-redis-"));
    const always = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
    // A Sentinel writes into its file, so each server has its own.
    const file = join(folder, "server.conf");
    writeFileSync(file, config);
    return new RedisServer(port, folder, [file, ...always, ...args]);
  }

  /** Begins anew with what is in its folder. Resolves when the server is ready. */
  async restart(...args: string[]): Promise<void> {
    await this.#kill();
    await this.#launch(READY, args);
  }

  get pid(): number {
    return this.#process.pid!;
  }

  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  async stop(): Promise<void> {
    await this.#kill();
    this.#end();
  }

  async #launch(ready: RegExp, args: readonly string[] = []): Promise<void> {
    const child = await spawnFirst([...this.#arguments, ...args]);
    this.#process = child;
    RedisServer.#running.add(this);
    let log = "";
    await new Promise<void>((resolve, reject) => {
      child.stdout!.on("data", (data) => {
        log += data;
        if (ready.test(log)) resolve();
      });
      child.once("exit", () => reject(new Error(`the Redis server ended: ${log}`)));
    });
  }

  async #kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await ended;
  }

  #end(): void {
    this.#process.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
    RedisServer.#running.delete(this);
  }
}

/** Three masters that share the slots of a Cluster. */
export class RedisCluster {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  static async start(...args: string[]): Promise<RedisCluster> {
    const clustered = ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", ...args];
    const servers: RedisServer[] = [];
    for (let i = 0; i < 3; i++) servers.push(await RedisServer.start(undefined, ...clustered));
    const hosts = servers.map(({ port }) => `127.0.0.1:${port}`);
    await cli("--cluster", "create", ...hosts, "--cluster-replicas", "0", "--cluster-yes");
    // The nodes that weren't asked hear of it a little later.
    for (const { port } of servers) {
      while (!(await cli("-p", String(port), "cluster", "info")).includes("cluster_state:ok"));
    }
    return new RedisCluster(servers);
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.stop()));
  }
}

async function cli(...args: string[]): Promise<string> {
  const run = promisify(execFile);
  const { stdout } = await run("redis-cli", args).catch((error) => {
    if (error.code === "ENOENT") return run("valkey-cli", args);
    throw error;
  });
  return stdout;
}

async function spawnFirst(args: readonly string[]): Promise<ChildProcess> {
  const { REDIS_SERVER } = process.env;
  const programs = REDIS_SERVER === undefined ? SERVERS : [REDIS_SERVER];
  for (const program of programs) {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
    const started = await Promise.race([once(child, "spawn").then(() => true), once(child, "error").then(() => false)]);
    if (started) return child;
  }
  throw new Error(`none of ${programs.join(", ")} could be started: run \`node scripts/ensure-redis.js\``);
}

/** A port that nobody listens on; a Cluster's node needs the one 10 000 above it too. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, "close");
    if (port < 50_000) return port;
  }
}
