// `@upstash/redis`, and `@vercel/kv`, which is made of it. Each command is a request over HTTP.

import { type Connection, hasMethods, SCAN_COUNT, withRedisText } from "./connection.ts";

/** `Redis` of the package `@upstash/redis`; `kv`, or what `createClient` of `@vercel/kv` makes. */
export interface UpstashClient {
  /** Runs a script that the server knows, by its SHA-1. */
  evalsha(sha1: string, keys: string[], args: string[]): Promise<unknown>;
  /** Runs a script, which the server then knows. */
  eval(source: string, keys: string[], args: string[]): Promise<unknown>;
  /** Returns one page of the keys. */
  scan(cursor: string, options: { match: string; count: number }): Promise<unknown>;
  /** Loads a script into the server. (ioredis, whose scripts take other arguments, doesn't have this method.) */
  scriptLoad(source: string): Promise<unknown>;
  /** Begins a MULTI. A pipeline and a MULTI themselves don't have it. */
  multi(): unknown;
}

export function isUpstash(client: unknown): client is UpstashClient {
  return hasMethods(client, "evalsha", "eval", "scan", "scriptLoad", "multi");
}

export function upstashConnection(client: UpstashClient): Connection {
  return {
    isCluster: false,
    evalSha(sha1, keys, args) {
      const command = ["evalsha", sha1, keys.length, ...keys, ...args];
      return withRedisText(client.evalsha(sha1, keys, args), (message) => redisTextOf(message, command));
    },
    eval(source, keys, args) {
      const command = ["eval", source, keys.length, ...keys, ...args];
      return withRedisText(client.eval(source, keys, args), (message) => redisTextOf(message, command));
    },
    async scans() {
      return [(cursor, pattern) => client.scan(cursor, { match: pattern, count: SCAN_COUNT })];
    },
  };
}

/**
 * What Redis said. The client puts words before it where it pipelines by itself, and else the command behind it. The
 * whole command is compared, because a key in it may have any text.
 */
function redisTextOf(message: string, command: readonly unknown[]): string {
  const behind = `, command was: ${JSON.stringify(command)}`;
  return message.endsWith(behind) ? message.slice(0, -behind.length) : message.replace(/^Command failed: /, "");
}
