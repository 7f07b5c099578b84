// `redis` (node-redis), also by its interface of version 3, `client.legacy()`.

import { type Connection, hasMethods, SCAN_COUNT } from "./connection.ts";

/** What `createClient`, `createClientPool`, `createCluster` or `createSentinel` of the package `redis` makes. */
export interface NodeRedisClient {
  /** Runs a script that the server knows, by its SHA-1. */
  evalSha(sha1: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Runs a script, which the server then knows. */
  eval(source: string, options: { keys: string[]; arguments: string[] }): Promise<unknown>;
  /** Connects. A MULTI and `client.legacy()` don't have it. */
  connect(): Promise<unknown>;
}

/** What `client.legacy()` of the package `redis` makes: methods with callbacks. */
export interface NodeRedisLegacyClient {
  /** Sends any command. */
  sendCommand(args: string[], callback: (error: Error | null, reply?: unknown) => void): void;
  /** Runs a script that the server knows. It promises nothing, so `sendCommand` is used. */
  evalSha(...args: string[]): void;
  /** Begins a MULTI. A MULTI itself doesn't have it. */
  multi(): unknown;
}

interface ScanningNode {
  scan(cursor: string, options: { MATCH: string; COUNT: number }): Promise<unknown>;
}

interface NodeRedisNode extends ScanningNode {
  /** Only a cluster has it. */
  masters?: unknown[];
  nodeClient?(master: unknown): ScanningNode | Promise<ScanningNode>;
}

export function isNodeRedis(client: unknown): client is NodeRedisClient {
  return hasMethods(client, "evalSha", "eval", "connect");
}

export function nodeRedisConnection(client: NodeRedisClient): Connection {
  return {
    isCluster: hasMethods(client, "nodeClient"),
    evalSha: (sha1, keys, args) => client.evalSha(sha1, { keys, arguments: args }),
    eval: (source, keys, args) => client.eval(source, { keys, arguments: args }),
    async scans() {
      const whole = client as unknown as NodeRedisNode;
      const nodes = await Promise.all(whole.masters?.map((master) => whole.nodeClient!(master)) ?? [whole]);
      return nodes.map((node) => (cursor, pattern) => node.scan(cursor, { MATCH: pattern, COUNT: SCAN_COUNT }));
    },
  };
}

export function isNodeRedisLegacy(client: unknown): client is NodeRedisLegacyClient {
  return hasMethods(client, "evalSha", "sendCommand", "multi") && !hasMethods(client, "connect");
}

/** One command of `client.legacy()`, as a promise. */
export function sendToLegacy(client: NodeRedisLegacyClient, args: string[]): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.sendCommand(args, (error, reply) => (error === null ? resolve(reply) : reject(error)));
  });
}
