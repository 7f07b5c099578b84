export type {
  BunRedisClient,
  CommandClient,
  GlideClient,
  IoredisClient,
  NodeRedisClient,
  NodeRedisLegacyClient,
  RedisClient,
  UpstashClient,
} from "../redis/client.ts";
export type { RedisOptions } from "../redis/open.ts";
export type { FailurePolicy } from "../redis/parts.ts";
export type { HybridAbsolute } from "./absolute.ts";
export type { Estimate } from "./estimate.ts";
export { createHybridProvider, type HybridOptions, type HybridProvider } from "./provider.ts";
export type { HybridSuppressed } from "./suppressed.ts";
