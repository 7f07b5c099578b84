import type { Awaitable } from "../core/types.ts";

/** Whether a value has to be awaited. What needn't is not, for that costs a turn of the microtask queue. */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** `next` of the value: at once when it is there. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value);
}
