import type { Awaitable } from "../core/types.ts";

/**
 * Whether a value has to be awaited. Other values are used at once, because `await` costs a turn of the microtask
 * queue.
 */
export function isPromise<T>(value: Awaitable<T>): value is Promise<T> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** Calls `next` with the value: at once, or when the promise has it. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return isPromise(value) ? value.then(next) : next(value);
}
