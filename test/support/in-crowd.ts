import { perSecond } from "trypema";
import type { RedisProvider } from "trypema/redis";
import { FEW_CALLS } from "../../src/redis/call-queue.ts";

/** Keys to call first. The calls to these may be sent alone, and all calls that are made with them share a script. */
export const ALONE: readonly string[] = Array.from({ length: FEW_CALLS }, (_, i) => `alone-${i}`);

const inCrowds = new WeakMap<RedisProvider, RedisProvider>();

/**
 * The provider, each of whose calls is made together with four calls to another key. The first three are sent alone
 * while the program isn't busy, and the others share a script.
 */
export function inCrowd(provider: RedisProvider): RedisProvider {
  const known = inCrowds.get(provider);
  // A provider is the same object for the same window, also in the crowd.
  if (known !== undefined) return known;
  const other = () => provider.absolute.inc("one of the crowd", perSecond(1e9)).catch(() => {});
  const crowded = <Limiter extends object>(limiter: Limiter): Limiter =>
    new Proxy(limiter, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...args: unknown[]) => {
          if (name === "inc") void Promise.all([other(), other(), other(), other()]);
          return value.apply(target, args);
        };
      },
    });
  const all: RedisProvider = {
    ...provider,
    absolute: crowded(provider.absolute),
    suppressed: crowded(provider.suppressed),
    withWindow: (window) => inCrowd(provider.withWindow(window)),
  };
  inCrowds.set(provider, all);
  return all;
}
