// What a limiter of `rateLimit` has counted, for tests to look at and to change.

import { createLimits, type Provider, TrypemaError } from "trypema";

/** The limiter with the counts that limiters of this name have, with the provider's window. */
export function limiterOf<P extends Provider>(provider: P, name = "default"): P["absolute"] {
  try {
    return createLimits(provider, { [name]: { limit: 1, windowMs: provider.windowMs } }).limiter(name);
  } catch (error) {
    if (!(error instanceof TrypemaError)) throw error;
    return withPrefix(provider.absolute, `${name}:`);
  }
}

/** A provider that isn't of this package has no names. There the limiters' names are in front of the keys. */
function withPrefix<L extends Provider["absolute"]>(limiter: L, prefix: string): L {
  return new Proxy(limiter, {
    get(target, name) {
      const method = Reflect.get(target, name) as unknown as (...args: unknown[]) => unknown;
      return (key: string, ...others: unknown[]) => Reflect.apply(method, target, [prefix + key, ...others]);
    },
  });
}
