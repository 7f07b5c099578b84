// Clients that send any command, and whose errors are those of Redis: Bun's, and whatever a user makes of his own.

import { type Connection, hasMethods, SCAN_COUNT } from "./connection.ts";

/** `RedisClient` of Bun. */
export interface BunRedisClient {
  /** Sends any command. */
  send(command: string, args: string[]): Promise<unknown>;
  /** Reads a set. (A WebSocket also has `send`, but not this method.) */
  smembers(key: string): Promise<unknown>;
}

/**
 * Any other client: a function that sends a command, such as `["EVALSHA", "…", "2", "…"]`, and returns a promise of the
 * reply. If Redis answers with an error, the promise has to reject with an `Error` whose message begins with the words
 * of Redis, such as `NOSCRIPT …`.
 */
export interface CommandClient {
  /** Sends any command. In a Cluster the command goes to the node of its keys. */
  sendCommand(args: string[]): Promise<unknown>;
}

export function isBun(client: unknown): client is BunRedisClient {
  return hasMethods(client, "send", "smembers");
}

/** A client with `eval` is one of some package, whose `sendCommand` may mean something else. */
export function isCommandClient(client: unknown): client is CommandClient {
  return hasMethods(client, "sendCommand") && !hasMethods(client, "eval");
}

/** A connection that has only one master, or that sends a SCAN to one of them. */
export function connectionBySending(send: (args: string[]) => Promise<unknown>): Connection {
  return {
    isCluster: false,
    evalSha: (sha1, keys, args) => send(["EVALSHA", sha1, String(keys.length), ...keys, ...args]),
    eval: (source, keys, args) => send(["EVAL", source, String(keys.length), ...keys, ...args]),
    async scans() {
      return [(cursor, pattern) => send(["SCAN", cursor, "MATCH", pattern, "COUNT", String(SCAN_COUNT)])];
    },
  };
}
