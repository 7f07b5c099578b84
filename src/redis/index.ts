export type { RedisAbsolute } from "./absolute.ts";
export type {
  BunRedisClient,
  CommandClient,
  GlideClient,
  IoredisClient,
  NodeRedisClient,
  NodeRedisLegacyClient,
  RedisClient,
  UpstashClient,
} from "./client.ts";
export type { RedisOptions } from "./open.ts";
export type { FailurePolicy } from "./parts.ts";
export { createRedisProvider, type RedisProvider } from "./provider.ts";
export type { RedisSuppressed } from "./suppressed.ts";
