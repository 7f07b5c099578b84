// The questions that `doctor` asks a server, and what it makes of the answers.

import { randomUUID } from "node:crypto";
import { perSecond } from "../../core/rate.ts";
import { createHybridProvider } from "../../hybrid/provider.ts";
import { FEW_CALLS } from "../../redis/call-queue.ts";
import { UNLINK } from "../../redis/clear.ts";
import type { RedisClient } from "../../redis/client.ts";
import type { RedisOptions } from "../../redis/open.ts";
import { createRedisProvider } from "../../redis/provider.ts";
import { Failure } from "../command.ts";
import { counted, grouped, percent, printable, roughDuration } from "../text.ts";
import type { Server, Target } from "./connect.ts";
import { ANSWER_MS } from "./deadline.ts";
import type { Store } from "./store.ts";

export interface Finding {
  /** `note` for what isn't wrong, and is good to know. */
  readonly state: "ok" | "note" | "wrong";
  /** What was looked at; of a Cluster with the name of the node. */
  readonly about: string;
  readonly text: string;
  /** What would mend it. */
  readonly mend?: string;
}

type Info = ReadonlyMap<string, string>;

/** The lowest version whose commands do what the scripts need. */
const LEAST_VERSION = [6, 2] as const;
/** How long a provider waits by default. */
const TIMEOUT_MS = 200;
const PINGS = 20;
/** How servers say that a user may not do something, outside of scripts and in them. */
const REFUSED = /NOPERM|can't run this command|no permissions/i;
const LEASE_MS = 1_000;
/** As docs/redis.md names them. */
export const RIGHTS = "+evalsha +eval +time +get +mget +set +setrange +del +pexpire +lindex +lset +lpop +rpop +rpush";
export const RIGHTS_TO_CLEAR = "+scan +unlink";
export const RIGHTS_OF_HYBRID = "+hget +hgetall +hset +hdel";

export async function examine(store: Store, target: Target): Promise<readonly Finding[]> {
  const findings: Finding[] = [{ state: "ok", about: "client", text: `${store.opened.package}, connected` }];
  const servers = await store.opened.servers();
  for (const server of servers) {
    const place = target.isCluster ? ` (${server.name})` : "";
    const found = await examineServer(server, target);
    findings.push(...found.map((finding) => ({ ...finding, about: `${finding.about}${place}` })));
  }
  findings.push(...(await rightsOf(store, target)));
  return findings;
}

async function examineServer(server: Server, target: Target): Promise<Finding[]> {
  const reply = await replyOf(server, "INFO", "everything");
  const info = reply === undefined ? undefined : readInfo(reply);
  const timed = [await latencyOf(server), ...(await clockOf(server))];
  if (info === undefined) {
    const text = "this user may not ask INFO, so version, role, memory and scripts aren't known";
    return [{ state: "note", about: "server", text, mend: "run doctor as a user with the right +info" }, ...timed];
  }
  return [versionOf(info), ...modeOf(info, target), ...memoryOf(info), ...timed, ...scriptsOf(info)];
}

/**
 * What a server replies; undefined where it refuses.
 *
 * @throws {Failure} where it doesn't answer
 */
async function replyOf(server: Server, ...command: string[]): Promise<unknown> {
  try {
    return await server.send(...command);
  } catch (error) {
    if (error instanceof Failure) throw error;
    return undefined;
  }
}

function readInfo(reply: unknown): Info {
  const lines = String(reply).split(/\r?\n/);
  const pairs = lines.map((line) => /^([^:#]+):(.*)$/.exec(line)).filter((found) => found !== null);
  return new Map(pairs.map(([, name, value]) => [name!, value!]));
}

function versionOf(info: Info): Finding {
  const valkey = info.get("valkey_version");
  const version = valkey ?? info.get("redis_version") ?? "";
  const text = `${valkey === undefined ? "Redis" : "Valkey"} ${printable(version)}`;
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isEnough = major > LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor >= LEAST_VERSION[1]);
  if (isEnough) return { state: "ok", about: "version", text };
  return {
    state: "wrong",
    about: "version",
    text: `${text} is too old`,
    mend: `take ${LEAST_VERSION.join(".")} or later`,
  };
}

function modeOf(info: Info, { isCluster }: Target): Finding[] {
  const findings: Finding[] = [];
  if (info.get("role") === "slave") {
    const text = "this is a replica, on which nothing can be counted";
    findings.push({ state: "wrong", about: "role", text, mend: "name the master, or take a client for Sentinel" });
  }
  if (info.get("cluster_enabled") === "1" && !isCluster) {
    const text = "this is a node of a Cluster: calls to keys of other nodes fail with MOVED";
    findings.push({
      state: "wrong",
      about: "Cluster",
      text,
      mend: "take a client for a Cluster; doctor takes --cluster",
    });
  }
  return findings;
}

function memoryOf(info: Info): Finding[] {
  const most = Number(info.get("maxmemory") ?? 0);
  const used = Number(info.get("used_memory") ?? 0);
  const policy = printable(info.get("maxmemory_policy") ?? "noeviction");
  const about = "memory";
  const megabytes = (bytes: number) => `${grouped(bytes / 1e6)} MB`;
  if (most === 0) return [{ state: "ok", about, text: `${megabytes(used)} used, no maxmemory, so nothing is evicted` }];
  const text = `${megabytes(used)} of ${megabytes(most)} used, ${policy}`;
  if (policy !== "noeviction") {
    const consequence = "Redis may drop a limited key, whose count then begins anew";
    return [{ state: "wrong", about, text: `${text}: ${consequence}`, mend: "CONFIG SET maxmemory-policy noeviction" }];
  }
  if (used < 0.9 * most) return [{ state: "ok", about, text }];
  return [{ state: "wrong", about, text: `${text}: soon nothing can be counted`, mend: "raise maxmemory" }];
}

async function latencyOf(server: Server): Promise<Finding> {
  const times: number[] = [];
  for (let ping = 0; ping < PINGS; ping++) {
    const sentMs = performance.now();
    // A user may lack the right to PING. Its refusal takes as long as its answer.
    await replyOf(server, "PING");
    times.push(performance.now() - sentMs);
  }
  times.sort((one, other) => one - other);
  const [median, most] = [times[PINGS >> 1]!, times.at(-1)!];
  const text = `${roughDuration(median)} for a round trip, ${roughDuration(most)} at most`;
  if (median < TIMEOUT_MS / 4) return { state: "ok", about: "latency", text };
  const mend = `set timeoutMs to ${10 ** Math.ceil(Math.log10(4 * median))}, or take the Hybrid provider`;
  return { state: "wrong", about: "latency", text: `${text}: too near to the timeoutMs of ${TIMEOUT_MS}`, mend };
}

async function clockOf(server: Server): Promise<Finding[]> {
  const sentMs = Date.now();
  const reply = await replyOf(server, "TIME");
  const receivedMs = Date.now();
  if (!Array.isArray(reply)) return [];
  const serversMs = Number(reply[0]) * 1e3 + Number(reply[1]) / 1e3;
  const offsetMs = serversMs - (sentMs + receivedMs) / 2;
  const size = Math.abs(offsetMs);
  if (size <= receivedMs - sentMs + 50) return [{ state: "ok", about: "clock", text: "as here" }];
  const side = offsetMs > 0 ? "ahead of" : "behind";
  const text = `${roughDuration(size)} ${side} this machine; limits go by the server's clock alone`;
  return [{ state: "note", about: "clock", text }];
}

/** A server that forgets its scripts gets them again, by EVAL, which costs it the time to compile them. */
function scriptsOf(info: Info): Finding[] {
  const callsOf = (command: string) => Number(/calls=(\d+)/.exec(info.get(`cmdstat_${command}`) ?? "")?.[1] ?? 0);
  const [bySha1, bySource] = [callsOf("evalsha"), callsOf("eval")];
  const about = "scripts";
  const text = `${counted(bySha1 + bySource, "call")} since the server's start`;
  if (bySource < 100 || bySource < 0.01 * bySha1) return [{ state: "ok", about, text }];
  const share = percent(bySource / (bySha1 + bySource));
  const reason = "another program uses EVAL, or something empties the cache of scripts";
  return [{ state: "note", about, text: `${text}, of which ${share} sent their source: ${reason}` }];
}

/** Does what a program would do, because a right may be missing in more ways than ACL rules can be read for. */
async function rightsOf(store: Store, { prefix }: Target): Promise<Finding[]> {
  const { client } = store.opened;
  const options = { prefix, windowMs: 1_000, bucketMs: 1, timeoutMs: ANSWER_MS } as const;
  const { absolute } = createRedisProvider(client, options);
  const key = `doctor-${randomUUID()}`;
  const count = async () => {
    await absolute.inc(key, perSecond(3));
    await absolute.delete(key);
    await useAllCommands(client, options, key);
  };
  const lease = async () => {
    // A lease lasts some timeouts.
    const hybrid = createHybridProvider(client, { ...options, timeoutMs: LEASE_MS, onFailure: "throw" });
    for (let call = 0; call < 3; call++) await hybrid.absolute.inc(key, perSecond(3));
    await hybrid.close();
    await absolute.delete(key);
  };
  const user = `ACL SETUSER USER ~${printable(prefix)}:*`;
  const counting = await tried(count, "rights", "it can count, read, correct and delete", `${user} ${RIGHTS}`);
  if (counting.state === "wrong") return [counting];
  const others = [
    await tried(lease, "rights of Hybrid", "it can lease", `for the Hybrid provider: ${user} ${RIGHTS_OF_HYBRID}`),
    await tried(
      () => walk(store, `${prefix}:${key}`),
      "rights to walk",
      "it can SCAN and UNLINK",
      `for clear(), get, block and top: ${user} ${RIGHTS_TO_CLEAR}`,
    ),
  ];
  return [
    counting,
    ...others.map((finding) => (finding.state === "wrong" ? { ...finding, state: "note" as const } : finding)),
  ];
}

async function useAllCommands(client: RedisClient, options: RedisOptions, key: string): Promise<void> {
  // With a clock of its own each call begins a bucket.
  let nowMs = 0;
  const { absolute, suppressed } = createRedisProvider(client, { ...options, clock: () => nowMs++ });
  // The suppressed limit denies most of the calls, and counts these too.
  for (const [limiter, rate] of [[absolute, perSecond(100)] as const, [suppressed, perSecond(3)] as const]) {
    // So many buckets begin a list, which a correction then shortens.
    for (let call = 0; call < 30; call++) await limiter.inc(key, rate);
    // Calls that are made together share a script, which reads several keys at once. The first few are sent alone.
    const keys = [key, ...Array.from({ length: FEW_CALLS + 1 }, (_, index) => `${key}-${index}`)];
    for (let round = 0; round < 12; round++) await Promise.all(keys.map((one) => limiter.inc(one, rate)));
    await limiter.adjust(key, -15);
    await limiter.get(key);
    await limiter.setIf(key, rate, { op: "always" }, 2, "preserve-newest");
    await Promise.all(keys.map((one) => limiter.delete(one)));
  }
}

/** Does what `clear()` does, to a key that isn't there. */
async function walk({ opened }: Store, redisKey: string): Promise<void> {
  for (const scan of await opened.connection.scans()) await scan("0", redisKey);
  await opened.connection.eval(UNLINK, [redisKey], []);
}

async function tried(work: () => Promise<void>, about: string, text: string, mend: string): Promise<Finding> {
  try {
    await work();
    return { state: "ok", about, text };
  } catch (error) {
    const { cause, message } = error as Error;
    const said = printable(cause instanceof Error ? cause.message : message, 200);
    return { state: "wrong", about, text: said, ...(REFUSED.test(said) && { mend }) };
  }
}
