import { checkOptions, type LimiterOptions, resolveLimiterOptions } from "../core/options.ts";
import type { Provider } from "../core/types.ts";
import { RedisAbsolute } from "./absolute.ts";
import { connectionOf, type RedisClient } from "./client.ts";
import { KeyNames } from "./keys.ts";
import type { Backend } from "./limiter.ts";
import { runScript } from "./script.ts";
import { RedisSuppressed } from "./suppressed.ts";

export interface RedisOptions extends LimiterOptions {
  /** What all names of Redis keys begin with. Default `"trypema"`. */
  readonly prefix?: string;
}

/** Counts in Redis. Made by {@link createRedisProvider}. */
export interface RedisProvider extends Provider {
  readonly absolute: RedisAbsolute;
  readonly suppressed: RedisSuppressed;
  close(): Promise<void>;
}

const OPTION_NAMES = ["windowMs", "bucketMs", "hardLimitFactor", "suppressionCacheMs", "random", "clock", "prefix"];

export function createRedisProvider(client: RedisClient, options: RedisOptions = {}): RedisProvider {
  checkOptions("options", options, OPTION_NAMES);
  const { prefix = "trypema", ...rest } = options;
  const settings = resolveLimiterOptions(rest);
  const timed = { ...settings, clock: options.clock === undefined ? undefined : settings.clock };
  const connection = connectionOf(client);
  const backend: Backend = {
    run: (script, keys, args) => runScript(connection, script, keys, args),
    forget: (pattern) => connection.unlinkMatching(pattern),
  };
  const names = (strategy: "a" | "s") => new KeyNames(prefix, strategy, settings.windowMs, settings.bucketMs);
  return {
    absolute: new RedisAbsolute(timed, names("a"), backend),
    suppressed: new RedisSuppressed(timed, names("s"), backend),
    close: async () => {},
  };
}
