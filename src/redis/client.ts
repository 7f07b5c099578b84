// What is asked of a Redis client, and the two that can do it, known by their methods: nothing of either is imported.

import { show, TrypemaError } from "../core/errors.ts";

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

/** A client, whichever it is. */
export interface Connection {
  evalSha(sha1: string, keys: string[], args: string[]): Promise<unknown>;
  eval(source: string, keys: string[], args: string[]): Promise<unknown>;
  /** Removes the Redis keys that match, on every master; each step is sent through `guarded`. */
  unlinkMatching(pattern: string, guarded: Guarded): Promise<void>;
}

/** `send` is an async function: it never throws at once. */
export type Guarded = <Reply>(send: () => Promise<Reply>) => Promise<Reply>;

interface IoredisNode {
  scan(cursor: string, match: "MATCH", pattern: string, count: "COUNT", keys: number): Promise<[string, string[]]>;
  unlink(key: string): Promise<unknown>;
  /** Of a Cluster only. */
  nodes?(role: "master"): IoredisNode[];
}

interface NodeRedisNode {
  scan(cursor: string, options: { MATCH: string; COUNT: number }): Promise<{ cursor: string; keys: string[] }>;
  unlink(key: string): Promise<unknown>;
  /** Of a cluster only. */
  masters?: unknown[];
  nodeClient?(master: unknown): NodeRedisNode | Promise<NodeRedisNode>;
}

/** How many Redis keys a SCAN looks at. */
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
    async unlinkMatching(pattern, guarded) {
      const whole = client as unknown as IoredisNode;
      for (const node of whole.nodes?.("master") ?? [whole]) {
        const scan = async (cursor: string) => node.scan(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT);
        await unlinkScanned(guarded, scan, (key) => node.unlink(key));
      }
    },
  };
}

function nodeRedisConnection(client: NodeRedisClient): Connection {
  return {
    evalSha: (sha1, keys, args) => client.evalSha(sha1, { keys, arguments: args }),
    eval: (source, keys, args) => client.eval(source, { keys, arguments: args }),
    async unlinkMatching(pattern, guarded) {
      const whole = client as unknown as NodeRedisNode;
      const masters = whole.masters?.map((master) => whole.nodeClient!(master)) ?? [whole];
      for (const node of await guarded(async () => Promise.all(masters))) {
        const scan = async (cursor: string): Promise<[string, string[]]> => {
          const page = await node.scan(cursor, { MATCH: pattern, COUNT: SCAN_COUNT });
          return [page.cursor, page.keys];
        };
        await unlinkScanned(guarded, scan, (key) => node.unlink(key));
      }
    },
  };
}

/** One UNLINK for a key, for those of a page are of many slots. */
async function unlinkScanned(
  guarded: Guarded,
  scan: (cursor: string) => Promise<[string, string[]]>,
  unlink: (key: string) => Promise<unknown>,
): Promise<void> {
  let cursor = "0";
  do {
    const [next, keys] = await guarded(() => scan(cursor));
    await guarded(async () => Promise.all(keys.map(unlink)));
    cursor = String(next);
  } while (cursor !== "0");
}

function hasMethod(value: unknown, name: string): boolean {
  return typeof value === "object" && value !== null && typeof Reflect.get(value, name) === "function";
}
