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

/** Whether `test` is true of one of the items. They are tested in their order, up to the first one of which it is. */
export function some<T>(items: readonly T[], test: (item: T) => Awaitable<boolean>, from = 0): Awaitable<boolean> {
  for (let i = from; i < items.length; i++) {
    const result = test(items[i]!);
    if (isPromise(result)) return result.then((isTrue) => isTrue || some(items, test, i + 1));
    if (result) return true;
  }
  return false;
}
