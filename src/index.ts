export type { Clock } from "./core/clock.ts";
export { days, hours, minutes, seconds } from "./core/duration.ts";
export { TrypemaError, type TrypemaErrorCode } from "./core/errors.ts";
export type {
  BreakerClosedEvent,
  BreakerOpenedEvent,
  DegradedEvent,
  EvictedEvent,
  OnEvent,
  ProviderEvent,
  RecoveredEvent,
  ReportsLostEvent,
  SweptEvent,
  TimeoutEvent,
} from "./core/events.ts";
export { type LimitedKey, type LimitedKeys, type LimitedKeysOptions, trackLimitedKeys } from "./core/limited-keys.ts";
export type { LimiterOptions } from "./core/options.ts";
export { perDay, perHour, perMinute, perSecond, perWeek, type Rate, unlimited } from "./core/rate.ts";
export type { HybridStats, LocalStats, ProviderStats, RedisStats, StatsSource } from "./core/stats.ts";
export type { LimitStats } from "./core/tally.ts";
export type {
  AllowedDecision,
  Awaitable,
  Condition,
  Decision,
  DecisionJson,
  History,
  JsonNumber,
  Limiter,
  Provider,
  RejectedDecision,
  SetIfResult,
  SuppressedDecision,
  SuppressedLimiter,
  Usage,
  WindowOptions,
} from "./core/types.ts";
export type { LimitDefinition, LimitOverride } from "./limits/definition.ts";
export {
  type AnswerOf,
  type CountsOf,
  createLimits,
  type KeysOf,
  type Limits,
  type OverridesOf,
  type TakenOf,
} from "./limits/limits.ts";
export type { LocalAbsolute } from "./local/absolute.ts";
export { type CleanupOptions, createLocalProvider, type LocalOptions, type LocalProvider } from "./local/provider.ts";
export type { LocalSuppressed } from "./local/suppressed.ts";
