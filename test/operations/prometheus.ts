// Prometheus for a while: the system's, or the package of the system's distribution, unpacked beside it.

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../support/process.js";
import { freePort } from "../support/redis.js";

export interface Programs {
  readonly prometheus: string;
  readonly promtool: string;
}

/** The programs; undefined where there are none and none can be had. Downloads the package of Debian once. */
export function findPrometheus(): Programs | undefined {
  if (spawnSync("promtool", ["--version"], { stdio: "ignore" }).error === undefined) {
    return { prometheus: "prometheus", promtool: "promtool" };
  }
  const folder = join(ROOT, ".build", "prometheus");
  const bin = join(folder, "usr", "bin");
  if (!existsSync(bin)) unpack(folder);
  return existsSync(bin) ? { prometheus: join(bin, "prometheus"), promtool: join(bin, "promtool") } : undefined;
}

function unpack(folder: string): void {
  mkdirSync(folder, { recursive: true });
  try {
    download(folder);
    const file = readdirSync(folder).find((name) => name.endsWith(".deb"))!;
    execFileSync("dpkg", ["-x", file, "."], { cwd: folder });
  } catch {
    // Not Debian, or no network: the caller says what is missing.
  }
}

/** Needs no rights: where the system has no lists of packages, they are fetched into the folder. */
function download(folder: string): void {
  const apt = (...args: string[]) => execFileSync("apt-get", ["-qq", ...args], { cwd: folder, stdio: "ignore" });
  try {
    apt("download", "prometheus");
  } catch {
    const own = ["-o", `Dir::State::Lists=${join(folder, "lists")}`, "-o", `Dir::Cache=${join(folder, "cache")}`];
    apt(...own, "update");
    apt(...own, "download", "prometheus");
  }
}

/** A time in seconds, and the value then. */
export type Sample = readonly [number, string];

/** A series of a query over a span of time. */
export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly values: readonly Sample[];
}

export interface Span {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

export class Prometheus {
  readonly #process: ChildProcess;
  readonly #port: number;
  readonly #folder: string;

  static readonly #running = new Set<Prometheus>();

  static {
    // None outlives a program that ends without stopping it.
    process.once("exit", () => {
      for (const prometheus of Prometheus.#running) prometheus.#end();
    });
  }

  private constructor(child: ChildProcess, port: number, folder: string) {
    this.#process = child;
    this.#port = port;
    this.#folder = folder;
    Prometheus.#running.add(this);
  }

  /** Scrapes the port of this machine every second, and evaluates the rules of the file. */
  static async start(program: string, scrapedPort: number, rulesFile: string): Promise<Prometheus> {
    const folder = mkdtempSync(join(tmpdir(), "trypema-prometheus-"));
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [rulesFile],
      scrape_configs: [{ job_name: "demo", static_configs: [{ targets: [`127.0.0.1:${scrapedPort}`] }] }],
    };
    // YAML is a superset of JSON.
    writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
    const port = await freePort();
    const child = spawn(
      program,
      [
        `--config.file=${join(folder, "prometheus.yml")}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: "ignore" },
    );
    return new Prometheus(child, port, folder);
  }

  /** What a query answers now; undefined while Prometheus isn't ready. */
  query(expression: string): Promise<readonly { readonly value: Sample }[] | undefined> {
    return this.#ask("query", expression);
  }

  /** What a query answers over a span of time, in seconds since 1970; undefined while Prometheus isn't ready. */
  queryRange(expression: string, { start, end, step }: Span): Promise<readonly Series[] | undefined> {
    return this.#ask("query_range", expression, { start: `${start}`, end: `${end}`, step: `${step}` });
  }

  async #ask<Result>(path: string, query: string, fields = {}): Promise<Result | undefined> {
    const url = `http://127.0.0.1:${this.#port}/api/v1/${path}?${new URLSearchParams({ query, ...fields })}`;
    const answer = await fetch(url).then(
      (response) => response.json() as Promise<{ data: { result: Result }; error?: string }>,
      () => undefined,
    );
    if (answer?.error !== undefined) throw new Error(`${query}: ${answer.error}`);
    return answer?.data.result;
  }

  async stop(): Promise<void> {
    const isRunning = this.#process.exitCode === null && this.#process.signalCode === null;
    const ended = isRunning ? once(this.#process, "exit") : undefined;
    this.#process.kill("SIGKILL");
    await ended;
    this.#end();
  }

  #end(): void {
    Prometheus.#running.delete(this);
    this.#process.kill("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
