// `trypema/nestjs`: a storage for @nestjs/throttler, and a module of our own.

export * from "../../http/index.ts";
export {
  type Cost,
  type DecoratedLimiter,
  RateLimit,
  RateLimitCost,
  SkipRateLimit,
} from "./decorators.ts";
export { RateLimitException, type RateLimitExtensions, type RateLimitProblem } from "./exceptions.ts";
export { RateLimitGuard } from "./guard.ts";
export type { NestLimiter } from "./limiters.ts";
export { TrypemaModule } from "./module.ts";
export {
  TRYPEMA_PROVIDER,
  type TrypemaModuleAsyncOptions,
  type TrypemaModuleOptions,
  type TrypemaOptionsFactory,
  type TrypemaSharedOptions,
} from "./options.ts";
export { RateLimits, reservationOf } from "./rate-limits.ts";
export { requestOf } from "./request.ts";
export { type ThrottlerRecord, type TrypemaThrottlerStorage, throttlerStorage } from "./throttler-storage.ts";
