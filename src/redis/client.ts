// The Redis clients that a provider can be given. A client is known by its methods, so no package of a client is
// imported. Each kind is asked for a method that the others lack: a client that looks like another would pass, and
// then every call would fail.

import { messageOf, show, TrypemaError } from "../core/errors.ts";
import {
  type BunRedisClient,
  type CommandClient,
  connectionBySending,
  isBun,
  isCommandClient,
} from "./clients/commands.ts";
import type { Connection } from "./clients/connection.ts";
import { type GlideClient, glideConnection, isGlide } from "./clients/glide.ts";
import { type IoredisClient, ioredisConnection, isIoredis } from "./clients/ioredis.ts";
import {
  isNodeRedis,
  isNodeRedisLegacy,
  type NodeRedisClient,
  type NodeRedisLegacyClient,
  nodeRedisConnection,
  sendToLegacy,
} from "./clients/node-redis.ts";
import { isUpstash, type UpstashClient, upstashConnection } from "./clients/upstash.ts";

export type {
  BunRedisClient,
  CommandClient,
  Connection,
  GlideClient,
  IoredisClient,
  NodeRedisClient,
  NodeRedisLegacyClient,
  UpstashClient,
};

/** A client of one of the packages that docs/redis.md names, or any other that has `sendCommand`. */
export type RedisClient =
  | IoredisClient
  | NodeRedisClient
  | NodeRedisLegacyClient
  | UpstashClient
  | GlideClient
  | BunRedisClient
  | CommandClient;

const EXPECTED =
  "a client of ioredis, iovalkey, redis, @upstash/redis, @vercel/kv, @valkey/valkey-glide or Bun " +
  "(not a pipeline or a MULTI), or { sendCommand: (args: string[]) => Promise<unknown> }";

/** @throws {TrypemaError} `INVALID_OPTION` for what is no client, or for a client of another kind */
export function connectionOf(client: RedisClient): Connection {
  try {
    if (isNodeRedis(client)) return nodeRedisConnection(client);
    if (isNodeRedisLegacy(client)) return connectionBySending((args) => sendToLegacy(client, args));
    if (isUpstash(client)) return upstashConnection(client);
    if (isIoredis(client)) return ioredisConnection(client);
    if (isGlide(client)) return glideConnection(client);
    if (isBun(client)) return connectionBySending(([command, ...args]) => client.send(command!, args));
    if (isCommandClient(client)) return connectionBySending((args) => client.sendCommand(args));
  } catch (cause) {
    // `kv` of @vercel/kv fails so when its address is in no environment variable.
    const message = `client: its methods can't be read (${messageOf(cause)}), expected ${EXPECTED}`;
    throw new TrypemaError("INVALID_OPTION", message, { cause });
  }
  throw new TrypemaError("INVALID_OPTION", `client: got ${show(client)}, expected ${EXPECTED}`);
}
