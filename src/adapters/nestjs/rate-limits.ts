// The limits of an application, as its guards and services use them.

import { Inject, Injectable, type Type } from "@nestjs/common";
import { show, TrypemaError } from "../../core/errors.ts";
import { checkOptions } from "../../core/options.ts";
import type { Awaitable, Limiter, Provider } from "../../core/types.ts";
import { countsOf } from "../../http/counts.ts";
import { DEFINITION_NAMES } from "../../http/definition.ts";
import {
  Guard,
  type GuardOptions,
  type Reservation,
  reservationOf as reservationOfContext,
  type Verdict,
} from "../../http/index.ts";
import { checkedOnNotice, type OnNotice } from "../../http/notices.ts";
import { checkNames, definitionsOf, GUARD_NAMES, type RateLimitOptions } from "../../http/options.ts";
import { marksOf } from "./decorators.ts";
import { type Level, limitersOf, type NestLimiter, nameOf } from "./limiters.ts";
import { TRYPEMA_OPTIONS, TRYPEMA_PROVIDER, type TrypemaModuleOptions } from "./options.ts";
import { type HandlerRequest, handleOf, RequestWithoutMessage } from "./request.ts";

type Context = HandlerRequest["raw"];
type NestGuard = Guard<Context>;

/** An exception answers a denied call, so `respond` and `handler` are not among them. */
const SHARED_NAMES: readonly string[] = GUARD_NAMES.filter((name) => name !== "respond" && name !== "handler");
const OPTION_NAMES = [...SHARED_NAMES, "limiters", ...DEFINITION_NAMES];

/** What handlers look their reservations up by. */
const contexts = new WeakMap<object, Context>();

/**
 * What the limiters have counted for a call, so that a handler can correct it afterwards.
 *
 * @param handle the request of Express or Fastify, or on GraphQL what `@Info()` gives
 * @throws {TrypemaError} `INVALID_OPTION` when no limiter has seen it
 */
export function reservationOf(handle: object): Reservation {
  return reservationOfContext(contexts.get(handle) ?? handle);
}

/**
 * The limits of the application. Inject it to look at what a key has used, to block it, or to unblock it.
 *
 * These always hold: a handler has one guard, and a guard decides about a call once, however many times
 * `RateLimitGuard` stands before the handler.
 */
export class RateLimits {
  /** The provider of all limits. */
  readonly provider: Provider;
  readonly #common: readonly NestLimiter[];
  readonly #shared: Omit<GuardOptions<Context>, "respond" | "handler">;
  readonly #commonGuard: NestGuard | undefined;
  /** By controller, and by handler; by the controller itself for its handlers without decorators. */
  readonly #guards = new WeakMap<object, Map<object, NestGuard | undefined>>();
  readonly #decided = new WeakSet<Context>();

  /** @internal Nest makes it. */
  constructor(options: TrypemaModuleOptions, provider: Provider) {
    checkOptions("options", options, OPTION_NAMES);
    this.provider = provider;
    const given = Object.entries(options).filter(([name, value]) => name !== "provider" && value !== undefined);
    const shared = Object.fromEntries(given.filter(([name]) => SHARED_NAMES.includes(name)));
    this.#shared = { ...shared, provider, onNotice: tellOnce(options.onNotice) };
    const limits = Object.fromEntries(given.filter(([name]) => !SHARED_NAMES.includes(name)));
    this.#common = commonOf(limits, provider);
    this.#commonGuard = this.#guardWith(this.#common);
  }

  /**
   * Returns the limiter that counts for handlers. It has what an operator needs: `get`, `block`, `unblock`, `delete`.
   * Its keys are the results of the limiter's `key`. Keys of more than 60 characters are stored as their hash.
   *
   * `await limits.limiter("login", AuthController, "login").unblock("ann")`
   *
   * @param name the limiter's; default `"default"`
   * @param controller the controller whose decorators have the limiter; by default the limiter is the module's
   * @param handler the name of the method, if the decorators are on the method
   * @param windowMs one of the limiter\'s windows, if its `windowMs` is a function
   * @throws {TrypemaError} `INVALID_OPTION` when there is no such limiter, or when the provider isn't of this package
   */
  limiter(name = "default", controller?: Type, handler?: string, windowMs?: number): Limiter {
    const method = handler === undefined ? undefined : controller?.prototype[handler];
    const limiters = controller === undefined ? this.#common : this.#limitersOf(controller, method);
    const definition = limiters.find((limiter) => nameOf(limiter) === name);
    if (definition === undefined || (handler !== undefined && typeof method !== "function")) {
      const names = limiters.map(nameOf).join(", ") || "none";
      throw new TrypemaError(
        "INVALID_OPTION",
        `limiter ${show(name)}: no limiter there has this name; there are ${names}`,
      );
    }
    const ownMs = typeof definition.windowMs === "function" ? (windowMs ?? Number.NaN) : definition.windowMs;
    const { family, limiter } = countsOf({ ...definition, windowMs: ownMs }, this.provider);
    if (family !== undefined) return limiter;
    throw new TrypemaError(
      "INVALID_OPTION",
      `provider: got ${show(this.provider)}, expected a provider of this package`,
    );
  }

  /** @internal Undefined where nothing limits the handler, or where it was decided before. */
  check(request: HandlerRequest): Awaitable<Verdict | undefined> {
    const context = request.raw;
    if (this.#decided.has(context)) return undefined;
    this.#decided.add(context);
    const guard = this.guardOf(context.getClass(), context.getHandler());
    if (guard === undefined) return undefined;
    if (request instanceof RequestWithoutMessage) guard.requireKeysOfTheirOwn(adviceFor(context));
    const handle = handleOf(context);
    if (typeof handle === "object" && handle !== null) contexts.set(handle, context);
    return guard.check(request);
  }

  /**
   * @internal The guard of a handler; undefined where nothing limits it.
   *
   * @throws {TrypemaError} for what is wrong with the limiters of its decorators
   */
  guardOf(controller: Type, handler: object): NestGuard | undefined {
    const guards = this.#guards.get(controller) ?? new Map<object, NestGuard | undefined>();
    this.#guards.set(controller, guards);
    if (!guards.has(handler)) guards.set(handler, this.#makeGuard(controller, handler));
    return guards.get(handler);
  }

  #makeGuard(controller: Type, handler: object): NestGuard | undefined {
    if (marksOf(handler).length > 0) return this.#guardWith(this.#limitersOf(controller, handler));
    if (marksOf(controller).length === 0) return this.#commonGuard;
    const guards = this.#guards.get(controller)!;
    // Handlers without decorators share the guard of their controller.
    if (!guards.has(controller)) guards.set(controller, this.#guardWith(this.#limitersOf(controller, undefined)));
    return guards.get(controller);
  }

  #limitersOf(controller: Type, handler: object | undefined): readonly NestLimiter[] {
    const levels: Level[] = marksOf(controller).map((marks) => ({ marks, scope: scopeOf(controller.name) }));
    const ofHandler = typeof handler === "function" ? marksOf(handler) : [];
    for (const marks of ofHandler) levels.push({ marks, scope: scopeOf(`${controller.name}.${marks.handlerName}`) });
    return limitersOf(this.#common, levels);
  }

  #guardWith(limiters: readonly NestLimiter[]): NestGuard | undefined {
    // With a handler the verdict has header fields and the denial only: the body is that of an exception.
    return limiters.length === 0 ? undefined : new Guard({ ...this.#shared, limiters, handler: throwing });
  }
}

Injectable()(RateLimits);
Inject(TRYPEMA_OPTIONS)(RateLimits, undefined, 0);
Inject(TRYPEMA_PROVIDER)(RateLimits, undefined, 1);

/** The limiters of the module. There may be none, because decorators have limiters of their own. */
function commonOf(limits: Readonly<Record<string, unknown>>, provider: Provider): readonly NestLimiter[] {
  const names = Object.keys(limits);
  const { limiters } = limits;
  const isEmptyList = Array.isArray(limiters) && limiters.length === 0 && names.length === 1;
  if (names.length === 0 || isEmptyList) return [];
  const common = definitionsOf({ provider, ...limits } as unknown as RateLimitOptions<Context>);
  checkNames(common.map((limiter) => ({ name: nameOf(limiter) })));
  return common;
}

/** Stands for the exception of `RateLimitGuard`. */
function throwing(): void {}

/** What is counted has a scope in its name, so the scope has only characters that a name of counts may have. */
function scopeOf(place: string): string {
  return encodeURIComponent(place.toWellFormed()).replaceAll("~", "%7E");
}

/**
 * Each handler with decorators has limiters of its own, of which all would tell the same. So a notice is told once for
 * each name of a limiter, and those of an outage once for each outage.
 */
function tellOnce(onNotice: OnNotice | undefined): OnNotice {
  const tell = checkedOnNotice(onNotice);
  if (tell === false) return false;
  const told = new Set<string>();
  return (notice) => {
    const { code, limiter } = notice;
    const away = `BACKEND_AWAY ${limiter}`;
    // The end of an outage is told of an outage that was told of, and then the next outage is news.
    const isNews = code === "BACKEND_BACK" ? told.delete(away) : !told.has(`${code} ${limiter}`);
    if (!isNews) return undefined;
    if (code !== "BACKEND_BACK") told.add(`${code} ${limiter}`);
    return tell(notice);
  };
}

function adviceFor(context: Context): string {
  const handler = `${context.getClass().name}.${context.getHandler().name}`;
  switch (context.getType<string>()) {
    case "ws":
      return (
        `${handler} is called by a socket that doesn't keep its request: ` +
        "in handleConnection(client, request) say client.request = request"
      );
    case "graphql":
      return `${handler} is called with a GraphQL context that has no req: give it one, or give the limiter a key`;
    default:
      return `${handler} isn't called by HTTP: give the limiter a key, or put @SkipRateLimit() on the handler`;
  }
}
