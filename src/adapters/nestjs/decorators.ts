// The decorators. They only note what they are told, with the controller or the handler that they stand on.

import type { ExecutionContext } from "@nestjs/common";
import { show, TrypemaError } from "../../core/errors.ts";
import type { Awaitable } from "../../core/types.ts";
import type { HttpRequest, LimiterFields, LimiterOfCount, LimiterOfRate } from "../../http/index.ts";

/** A limiter of a decorator. Options that it leaves out come from the limiter of the same name that it replaces. */
export type DecoratedLimiter = LimiterFields<ExecutionContext> &
  (
    | LimiterOfRate<ExecutionContext>
    | LimiterOfCount<ExecutionContext>
    | { readonly rate?: undefined; readonly limit?: undefined }
  );

/** What a call costs: an integer from 0 up, or that of a request. */
export type Cost = number | ((request: HttpRequest<ExecutionContext>) => Awaitable<number>);

/** What the decorators of one place say. */
export interface Marks {
  readonly limiters?: readonly DecoratedLimiter[];
  readonly skip?: boolean | Readonly<Record<string, boolean>>;
  readonly cost?: Cost | Readonly<Record<string, Cost>>;
  /** The name of the handler's property. The function may have another name, or none, after another decorator. */
  readonly handlerName?: string;
}

const MARKS = Symbol.for("trypema.nestjs.marks");

/** What the decorators on a handler say, or those on a controller and on the classes that it extends. Base first. */
export function marksOf(place: object): readonly Marks[] {
  const all: Marks[] = [];
  for (let level: object | null = place; level !== null; level = Object.getPrototypeOf(level)) {
    const own: Marks | undefined = Reflect.getOwnMetadata(MARKS, level);
    if (own !== undefined) all.unshift(own);
  }
  return all;
}

type Decorator = MethodDecorator & ClassDecorator;

function mark(addTo: (marks: Marks) => Marks): Decorator {
  return (target: object, name?: string | symbol, descriptor?: PropertyDescriptor) => {
    const handler: object | undefined = descriptor?.value;
    const place = handler ?? target;
    const known: Marks = Reflect.getOwnMetadata(MARKS, place) ?? (handler && { handlerName: String(name) }) ?? {};
    Reflect.defineMetadata(MARKS, addTo(known), place);
  };
}

/**
 * Limits a handler, or all handlers of a controller together.
 *
 * `@RateLimit({ name: "login", limit: 5, windowMs: minutes(15), blockMs: hours(1) })`
 *
 * A limiter replaces the limiter of the same name of the controller or of the module, and takes from it the options
 * that it leaves out. A limiter with another name is added. A limiter of a decorator has its own counts, for the
 * handler or the controller that has the decorator.
 *
 * @param limiters at least one, each with a different name; default `"default"`
 * @throws {TrypemaError} `INVALID_OPTION`; any other mistake in a limiter stops the start of the application
 */
export function RateLimit(...limiters: readonly DecoratedLimiter[]): Decorator {
  if (limiters.length === 0 || !limiters.every((limiter) => typeof limiter === "object" && limiter !== null)) {
    throw new TrypemaError("INVALID_OPTION", `@RateLimit: got ${show(limiters)}, expected limiters`);
  }
  return mark((marks) => {
    const all = [...limiters, ...(marks.limiters ?? [])];
    const names = all.map(({ name = "default" }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice === undefined) return { ...marks, limiters: all };
    throw new TrypemaError("INVALID_OPTION", `@RateLimit: more than one limiter has the name ${show(twice)}`);
  });
}

/**
 * Removes limiters from a handler or from all handlers of a controller, or restores for a handler what its controller
 * has removed.
 *
 * `@SkipRateLimit()` removes all limiters, `@SkipRateLimit({ burst: true })` the limiter of this name.
 * `@SkipRateLimit(false)` and `@SkipRateLimit({ burst: false })` on a handler restore them. A `@RateLimit` in the same
 * place still holds: with both, only its limiters hold.
 *
 * @param skip default true
 * @throws {TrypemaError} `INVALID_OPTION` for a name that isn't in an object
 */
export function SkipRateLimit(skip: boolean | Readonly<Record<string, boolean>> = true): Decorator {
  if (typeof skip !== "boolean" && (typeof skip !== "object" || skip === null)) {
    const names = typeof skip === "string" ? `{ ${show(skip)}: true }` : "{ burst: true }";
    throw new TrypemaError(
      "INVALID_OPTION",
      `@SkipRateLimit: got ${show(skip)}, expected true, false, or names of limiters such as ${names}`,
    );
  }
  return mark((marks) => ({ ...marks, skip }));
}

/**
 * What a call of the handler costs, or of each handler of the controller.
 *
 * `@RateLimitCost(10)`, `@RateLimitCost({ tokens: ({ header }) => Number(header("x-tokens")) })`
 *
 * @param cost an integer from 0 up, or a function of the request; for all limiters, or by their names. 0 is free
 */
export function RateLimitCost(cost: Cost | Readonly<Record<string, Cost>>): Decorator {
  return mark((marks) => ({ ...marks, cost }));
}
