// The methods that a Redis client must have, and the two packages that have them. A client is recognised by its
// methods, so nothing of either package is imported.

import { show, TrypemaError } from "../core/errors.ts";
import { isWithin, misfit, numberFrom, pageFrom } from "./reply.ts";

/** `Redis` or `Cluster` of the package `ioredis`, single, Sentinel or Cluster. */
export interface IoredisClient {
  /** Runs a script that the server knows, by its SHA-1. */
  evalsha(sha1: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
  /** Runs a script, which the server then knows. */
  eval(source: string, keyCount: number, ...keysAndArguments: string[]): Promise<unknown>;
}

/** What `createClient`, `createClientPool`, `createCluster` or `createSentinel` of the package `redis` makes. */
export interface NodeRedisClient {
  /** Runs a script that the server knows, by its SHA-1. */
  evalSha(sha1: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Runs a script, which the server then knows. */
  eval(source: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
}

/** A client of either package, told apart by its methods. */
export type RedisClient = IoredisClient | NodeRedisClient;

/** A client of either package behind one interface. */
export interface Connection {
  evalSha(sha1: string, keys: string[], args: string[]): Promise<unknown>;
  eval(source: string, keys: string[], args: string[]): Promise<unknown>;
  /** Removes the Redis keys that match, on every master. Each step goes through `runStep`, which may refuse it. */
  unlinkMatching(pattern: string, runStep: StepRunner): Promise<void>;
}

/** Runs one step of a longer work, `send`. It is async, so an error of the client always rejects and never throws. */
export type StepRunner = <Reply>(send: () => Promise<Reply>) => Promise<Reply>;

interface IoredisNode {
  scan(cursor: string, match: "MATCH", pattern: string, count: "COUNT", keys: number): Promise<unknown>;
  unlink(key: string): Promise<unknown>;
  /** Only a Cluster has it. */
  nodes?(role: "master"): IoredisNode[];
}

interface NodeRedisNode {
  scan(cursor: string, options: { MATCH: string; COUNT: number }): Promise<unknown>;
  unlink(key: string): Promise<unknown>;
  /** Only a cluster has it. */
  masters?: unknown[];
  nodeClient?(master: unknown): NodeRedisNode | Promise<NodeRedisNode>;
}

/** How many Redis keys one SCAN looks at. */
const SCAN_COUNT = 1_000;

/** @throws {TrypemaError} `INVALID_OPTION` for what is neither client */
export function connectionOf(client: RedisClient): Connection {
  if (hasMethod(client, "eval") && hasMethod(client, "evalSha")) return nodeRedisConnection(client as NodeRedisClient);
  if (hasMethod(client, "eval") && hasMethod(client, "evalsha")) return ioredisConnection(client as IoredisClient);
  throw new TrypemaError("INVALID_OPTION", `client: got ${show(client)}, expected a client of ioredis or redis`);
}

function ioredisConnection(client: IoredisClient): Connection {
  return {
    evalSha: (sha1, keys, args) => client.evalsha(sha1, keys.length, ...keys, ...args),
    eval: (source, keys, args) => client.eval(source, keys.length, ...keys, ...args),
    async unlinkMatching(pattern, runStep) {
      const whole = client as unknown as IoredisNode;
      for (const node of await runStep(async () => whole.nodes?.("master") ?? [whole])) {
        const scan = async (cursor: string) => node.scan(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT);
        await unlinkScanned(runStep, scan, async (key) => node.unlink(key));
      }
    },
  };
}

function nodeRedisConnection(client: NodeRedisClient): Connection {
  return {
    evalSha: (sha1, keys, args) => client.evalSha(sha1, { keys, arguments: args }),
    eval: (source, keys, args) => client.eval(source, { keys, arguments: args }),
    async unlinkMatching(pattern, runStep) {
      const whole = client as unknown as NodeRedisNode;
      const nodes = async () => Promise.all(whole.masters?.map((master) => whole.nodeClient!(master)) ?? [whole]);
      for (const node of await runStep(nodes)) {
        const scan = async (cursor: string) => node.scan(cursor, { MATCH: pattern, COUNT: SCAN_COUNT });
        await unlinkScanned(runStep, scan, async (key) => node.unlink(key));
      }
    },
  };
}

/** Sends one UNLINK for each key, because the keys of a page are in many slots of a Cluster. */
async function unlinkScanned(
  runStep: StepRunner,
  scan: (cursor: string) => Promise<unknown>,
  unlink: (key: string) => Promise<unknown>,
): Promise<void> {
  let cursor = "0";
  do {
    const page = pageFrom(await runStep(() => scan(cursor)), cursor);
    for (const reply of await runStep(() => Promise.all(page.keys.map(unlink)))) {
      if (!isWithin(numberFrom(reply), 1)) throw misfit(reply);
    }
    cursor = page.cursor;
  } while (cursor !== "0");
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, name) === "function";
}
