import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Decision } from "trypema";
import type { UpstashStandIn } from "../support/upstash.ts";
import type { Summary } from "./suite.ts";

/**
 * A worker keeps the compatibility date of the day it was made. There is no WeakRef before 2025-05-05, and no navigator
 * before 2022-03-21.
 */
export const COMPATIBILITY_DATES = ["2026-11-01", "2025-05-04", "2022-03-20"];

/** A worker of one file that listens on a free port of this machine, and tells which by `--control-fd`. */
function configOf(worker: string, compatibilityDate: string, upstash: UpstashStandIn): string {
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["local", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "${basename(worker)}")],
  compatibilityDate = "${compatibilityDate}",
  bindings = [
    (name = "self", service = "main"),
    (name = "upstashUrl", text = "${upstash.url}"),
    (name = "upstashToken", text = "${upstash.token}"),
  ],
);
`;
}

/** Runs the bundled worker: its suite, and calls of several requests to what it made at global scope. */
export async function runInWorkerd(
  program: string,
  worker: string,
  folder: string,
  date: string,
  upstash: UpstashStandIn,
): Promise<Summary> {
  const config = join(folder, "workerd.capnp");
  writeFileSync(config, configOf(worker, date, upstash));
  const server = spawn(program, ["serve", config, "--control-fd=3"], { stdio: ["ignore", "pipe", "pipe", "pipe"] });
  let log = "";
  for (const stream of [server.stdout!, server.stderr!]) {
    stream.on("data", (data) => {
      log += data;
    });
  }
  try {
    const url = `http://127.0.0.1:${await portOf(server, () => log)}`;
    const ask = async (path: string): Promise<unknown> => (await fetch(`${url}${path}`)).json();
    const hits: boolean[] = [];
    for (let i = 0; i < 5; i++) hits.push(((await ask("/hit")) as Decision).allowed);
    const codes = await Promise.all(Array.from({ length: 3 }, () => ask("/deadline")));
    const upgraded = await ask("/upgraded");
    const upstashProblems = await problemsWithUpstash(ask, upstash, date);
    const { passed, failed } = (await ask("/suite")) as Summary;
    const problems = [...upstashProblems, ...failed];
    if (hits.join() !== "true,true,true,false,false") problems.push(`requests don't share a limit: ${hits}`);
    if (codes.some((code) => code !== "BACKEND_TIMEOUT")) problems.push(`requests at once get: ${codes}`);
    if (upgraded !== 101) problems.push(`a websocket that a limited handler passes on is answered with ${upgraded}`);
    if (/uncaught|unhandled|exception/i.test(log)) problems.push(`the log of workerd has: ${log}`);
    return { passed, failed: problems };
  } finally {
    server.kill();
  }
}

/** Calls to a provider on Upstash, one request after the other and at once, also while Upstash doesn't answer. */
async function problemsWithUpstash(
  ask: (path: string) => Promise<unknown>,
  upstash: UpstashStandIn,
  date: string,
): Promise<string[]> {
  const call = async (key: string) => {
    const { allowed, degraded, error } = (await ask(`/upstash/${date}-${key}`)) as Decision & { error?: string };
    return error ?? `${allowed ? "admitted" : "denied"}${degraded ? " without Redis" : ""}`;
  };
  const inTurn: string[] = [];
  for (let i = 0; i < 5; i++) inTurn.push(await call("in turn"));
  const atOnce = await Promise.all(Array.from({ length: 9 }, () => call("at once")));
  upstash.hang(true);
  const whileAway = await Promise.all(Array.from({ length: 3 }, () => call("away")));
  upstash.hang(false);
  const back = await call("back");
  const pendingTimers = await ask("/timers");
  const problems: string[] = [];
  if (inTurn.join() !== "admitted,admitted,admitted,denied,denied") problems.push(`Upstash in turn: ${inTurn}`);
  const counts = ["admitted", "denied"].map((outcome) => atOnce.filter((one) => one === outcome).length);
  if (counts.join() !== "3,6") problems.push(`Upstash at once: ${atOnce}`);
  if (whileAway.some((one) => one !== "denied without Redis")) problems.push(`Upstash hangs: ${whileAway}`);
  if (back !== "admitted") problems.push(`Upstash is back: ${back}`);
  if (pendingTimers !== 0) problems.push(`${pendingTimers} timers outlive their requests to Upstash`);
  return problems;
}

async function portOf(server: ChildProcess, log: () => string): Promise<number> {
  const control = server.stdio[3]!;
  const listening = once(control, "data").then(([data]) => JSON.parse(String(data).split("\n")[0]!));
  const ended = once(server, "exit").then(() => Promise.reject(new Error(`workerd ended: ${log()}`)));
  const { port } = await Promise.race([listening, ended]);
  return port;
}
