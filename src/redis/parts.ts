// What a limiter on Redis is made of: its settings, the names of its keys, its way to Redis, and who decides when that
// fails. `open.ts` makes the parts, and the limiters of Redis and of Hybrid use them.

import type { ForwardClock } from "../core/clock.ts";
import type { LimiterSettings } from "../core/options.ts";
import type { Store } from "../core/store.ts";
import type { Tally } from "../core/tally.ts";
import type { Limiter } from "../core/types.ts";
import type { Watch } from "../core/watch.ts";
import type { IncCall, PeekCall, ReportCall } from "./batch.ts";
import type { Queued } from "./call-queue.ts";
import type { KeyNames } from "./keys.ts";
import type { Script } from "./script.ts";
import type { TakeCall } from "./take-plan.ts";

/** Where the scripts run. What fails is a {@link TrypemaError} with a code that begins with BACKEND. */
export interface Backend {
  /**
   * A call that counts, which is told what becomes of it; it may share a script with others.
   *
   * @throws {TrypemaError} `BACKEND_UNAVAILABLE` if the call is refused
   */
  inc(call: Queued<IncCall>): void;
  /** Several calls that are decided as one; they may share a script with others. */
  take(call: TakeCall): Promise<unknown>;
  /** A look at a key, which counts nothing; it may share a script with others. */
  peek(call: PeekCall): Promise<unknown>;
  /** Whether keys of different slots can't share a script. */
  readonly isBySlot: boolean;
  /** A report of a hybrid process; it may share a script with others. */
  report(call: ReportCall): Promise<unknown>;
  /**
   * @param isOwed whether it is sent even while calls are refused: only for what takes back what Redis counted a moment
   *   ago for a call that isn't over, so that there are no more of these than calls that were sent
   */
  run(script: Script, keys: string[], args: string[], isOwed?: boolean): Promise<unknown>;
  /** @throws {TrypemaError} `BACKEND_UNAVAILABLE` if a call now would be refused */
  checkAccepts(): void;
  /** Sees to it that the deadlines of calls pass which began earlier; see `Deadlines.keepTimer`. */
  keepTimer(): void;
  /** Removes the Redis keys whose names begin so. */
  forget(start: string): Promise<void>;
  /** Whether Redis has failed so often that calls are refused, except for one now and then. */
  readonly isOut: boolean;
  /** Whether a call now would be refused. */
  readonly refuses: boolean;
}

/**
 * Who decides when Redis can't: `"throw"` throws the error to the caller, `"allow"` and `"deny"` give every call this
 * answer, `"local"` asks a Local provider with the same options. Decisions of a policy are `degraded`.
 */
export type FailurePolicy = "throw" | "allow" | "deny" | "local";

export interface RedisSettings extends LimiterSettings {
  /** The same as `clock` if the user gave one; else the server's counts. */
  readonly callersClock: ForwardClock | undefined;
  readonly timeoutMs: number;
}

/** What a limiter of one strategy is made of. */
export interface RedisParts {
  readonly settings: RedisSettings;
  readonly backend: Backend;
  readonly names: KeyNames;
  readonly store: Store;
  readonly watch: Watch;
  /** Where the calls of the limiter are counted. */
  readonly tally: Tally;
  readonly policy: FailurePolicy;
  /** The same strategy of the Local provider for `"local"`. */
  readonly local: () => Limiter;
}
