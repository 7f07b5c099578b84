/// <reference lib="esnext.disposable" preserve="true" />

import { show, TrypemaError } from "../core/errors.ts";
import {
  checkOptions,
  LIMITER_OPTION_NAMES,
  type LimiterOptions,
  resolveLimiterOptions,
  timerOption,
} from "../core/options.ts";
import type { Provider } from "../core/types.ts";
import { createLocalProvider, type LocalProvider } from "../local/provider.ts";
import { RedisAbsolute } from "./absolute.ts";
import { connectionOf, type RedisClient } from "./client.ts";
import { Guard } from "./guard.ts";
import { KeyNames } from "./keys.ts";
import type { Backend, FailurePolicy } from "./limiter.ts";
import { runScript } from "./script.ts";
import { RedisSuppressed } from "./suppressed.ts";

export interface RedisOptions extends LimiterOptions {
  /** What the names of all Redis keys begin with: 1 to 100 characters, no braces. Default `"trypema"`. */
  readonly prefix?: string;
  /** How long a call waits for Redis, in ms, whatever the client's own queue does; 1 to 2^31 - 1. Default 200. */
  readonly timeoutMs?: number;
  /** Who decides when Redis can't; see {@link FailurePolicy}. Default `"throw"`. */
  readonly onFailure?: FailurePolicy;
}

/** Counts in Redis. Made by {@link createRedisProvider}. */
export interface RedisProvider extends Provider, AsyncDisposable {
  readonly absolute: RedisAbsolute;
  readonly suppressed: RedisSuppressed;
  /** Ends what the provider itself has started. The client stays open: it is yours. */
  close(): Promise<void>;
}

const OPTION_NAMES = [...LIMITER_OPTION_NAMES, "prefix", "timeoutMs", "onFailure"];

const POLICIES: readonly FailurePolicy[] = ["throw", "allow", "deny", "local"];

/**
 * A provider that counts in Redis: every method is one round trip and one atomic script, and all processes
 * with the same prefix and window share their limits.
 *
 * @param client of `ioredis` or `redis` (node-redis), connected or connecting; single, Sentinel or Cluster
 * @example
 * const limiter = createRedisProvider(new Redis(), { windowMs: 10_000, onFailure: "local" });
 * const decision = await limiter.absolute.inc("user-123", perSecond(5.5));
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function createRedisProvider(client: RedisClient, options: RedisOptions = {}): RedisProvider {
  checkOptions("options", options, OPTION_NAMES);
  const { prefix = "trypema", onFailure = "throw", timeoutMs: _, ...limiterOptions } = options;
  const settings = {
    ...resolveLimiterOptions(options),
    timeoutMs: timerOption("timeoutMs", options.timeoutMs, 200),
  };
  checkPrefix(prefix);
  checkPolicy(onFailure);
  const { windowMs, bucketMs } = settings;
  const connection = connectionOf(client);
  const guard = new Guard(settings.timeoutMs);
  const backend: Backend = {
    run: (script, keys, args) => guard.run(() => runScript(connection, script, keys, args)),
    forget: (pattern) => connection.unlinkMatching(pattern, (send) => guard.run(send)),
  };
  let local: LocalProvider | undefined;
  const localProvider = () => {
    local ??= createLocalProvider(limiterOptions);
    return local;
  };
  // A clock that isn't given is the server's.
  const timed = { ...settings, clock: options.clock === undefined ? undefined : settings.clock };
  const close = async () => local?.close();
  return {
    absolute: new RedisAbsolute(timed, new KeyNames(prefix, "a", windowMs, bucketMs), backend, {
      policy: onFailure,
      local: () => localProvider().absolute,
    }),
    suppressed: new RedisSuppressed(timed, new KeyNames(prefix, "s", windowMs, bucketMs), backend, {
      policy: onFailure,
      local: () => localProvider().suppressed,
    }),
    windowMs,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Braces would take the hash tag of Redis Cluster from the key, so its two Redis keys could be on different nodes. */
function checkPrefix(prefix: unknown): void {
  if (typeof prefix === "string" && /^[^{}]{1,100}$/.test(prefix) && prefix.isWellFormed()) return;
  throw new TrypemaError("INVALID_OPTION", `prefix: got ${show(prefix)}, expected 1 to 100 characters without { and }`);
}

function checkPolicy(policy: unknown): void {
  if (POLICIES.some((known) => known === policy)) return;
  throw new TrypemaError("INVALID_OPTION", `onFailure: got ${show(policy)}, expected one of ${POLICIES.join(", ")}`);
}
