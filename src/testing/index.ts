export { type ManualClock, manualClock } from "./clock.ts";
export {
  createFakeRedisProvider,
  type FakeRedisLimiter,
  type FakeRedisProvider,
  type FakeRedisState,
  type FakeRedisSuppressed,
} from "./fake-redis.ts";
export { seededRandom } from "./random.ts";
