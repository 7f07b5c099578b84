// `trypema/fastify`: a plugin, with options by route.

import type { FastifyContextConfig, FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify";
import { chain, isPromise } from "../http/awaitable.ts";
import { DEFINITION_NAMES } from "../http/definition.ts";
import { fieldValue } from "../http/headers.ts";
import {
  type Denial,
  Guard,
  type GuardOptions,
  type LimiterDefinition,
  type NoLimiter,
  type RateLimitOptions,
  type SeveralLimiters,
  type Verdict,
} from "../http/index.ts";
import { checkGuardOptions, GUARD_NAMES } from "../http/options.ts";
import { NodeRequest, settleAtEnd } from "./node-message.ts";

export * from "../http/index.ts";

type SharedOptions = GuardOptions<FastifyRequest, DenialHandler>;

/** Answers a denied request with Fastify's own methods: it sends a reply, or returns the payload to send. */
export type DenialHandler = (request: FastifyRequest, reply: FastifyReply, denial: Denial) => unknown;

/** Limits of a route or of a hook, in the provider of the plugin. Their names must differ from all other names. */
export type OwnRateLimit = Omit<SharedOptions, "provider"> &
  (
    | (LimiterDefinition<FastifyRequest> & { readonly name: string; readonly limiters?: undefined })
    | SeveralLimiters<FastifyRequest>
  );

/** The option of a route: limits of its own in place of the plugin's, or false for no limits. */
export type RouteRateLimit = false | OwnRateLimit;

/** A hook of Fastify that limits, for `onRequest`, `preHandler` and the hooks between them. */
export type RateLimitHook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void;

declare module "fastify" {
  interface FastifyContextConfig {
    rateLimit?: RouteRateLimit;
  }

  interface FastifyInstance<RawServer, RawRequest, RawReply, Logger, TypeProvider> {
    /**
     * A hook with limits of its own, which hold beside the plugin's. A request that meets the hook again counts once.
     *
     * `app.setNotFoundHandler({ preHandler: app.rateLimit({ name: "unknown", rate: perMinute(10) }) }, handler)`
     *
     * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
     */
    rateLimit(options: OwnRateLimit): RateLimitHook;
  }
}

/**
 * The options of the plugin: limits for every route that has no limits of its own, or only the options that routes
 * share.
 */
export type FastifyRateLimitOptions = {
  /**
   * When the limits are asked. Default `"onRequest"`, before the body is read; `"preHandler"` knows the body. In both
   * cases the limits are asked after the hooks of the same name of instances and routes, such as hooks that
   * authenticate.
   */
  readonly hook?: "onRequest" | "preHandler";
} & (RateLimitOptions<FastifyRequest, DenialHandler> | (SharedOptions & NoLimiter & { readonly limiters?: undefined }));

/** The providers that the own limits of a route count in, by route. */
const providersOfRoutes = new WeakMap<object, Set<unknown>>();

/**
 * Notes that a route's own limits count in a provider; returns false when that was noted before. Where plugins are
 * registered inside each other, each of them meets the route, but its limits are to count once.
 */
function noteOwnLimits(route: object, provider: unknown): boolean {
  const providers = providersOfRoutes.get(route) ?? new Set();
  providersOfRoutes.set(route, providers);
  return !providers.has(provider) && providers.add(provider) !== undefined;
}

type Done = Parameters<RateLimitHook>[2];

/**
 * The plugin. It limits the routes of the instance that it is registered on, the routes of plugins that are registered
 * after it, and requests that no route matches.
 *
 * `await app.register(rateLimit, { provider, rate: perMinute(60) })` limits all routes, and `{ config: { rateLimit: {
 * name: "login", rate: perMinute(5) } } }` among the options of a route limits this route.
 */
export const rateLimit: FastifyPluginAsync<FastifyRateLimitOptions> = async (app, options) => {
  const { hook = "onRequest", ...shared } = options;
  const limitsAll = ["limiters", ...DEFINITION_NAMES].some((name) => name in shared);
  if (!limitsAll) checkGuardOptions(shared);
  const limitUnknown = limitsAll ? hookOf(shared as Limits) : undefined;
  const limitOf = (own: RouteRateLimit | undefined) =>
    own === undefined ? limitUnknown : own === false ? undefined : hookOf(optionsOfRoute(shared, own));
  // Of several plugins on one instance the first one makes the hooks, as with @fastify/rate-limit.
  const makeHook = (own: OwnRateLimit) => hookOnce(optionsOfRoute(shared, own));
  // The cast is for programs that have the types of @fastify/rate-limit too, which declare another one.
  if (!Object.hasOwn(app, "rateLimit")) app.decorate("rateLimit", makeHook as FastifyInstance["rateLimit"]);
  const hasEarlierRoutes = app.printRoutes().trim() !== "(empty tree)";
  const met = Symbol("trypema.met");
  // Limits are chosen here for each route, and not for each request, because Fastify makes a request's `routeOptions`
  // anew whenever they are read.
  app.addHook("onRoute", (route) => {
    const own = route.config?.rateLimit;
    const limit = own && !noteOwnLimits(route, shared.provider) ? undefined : limitOf(own);
    if (hasEarlierRoutes) route.config = { ...route.config, [met]: true } as FastifyContextConfig;
    if (limit === undefined) return;
    const hooks = route[hook] ?? [];
    route[hook] = [...(Array.isArray(hooks) ? hooks : [hooks]), limit] as typeof hooks;
  });
  if (limitUnknown === undefined && !hasEarlierRoutes) return;

  // A plugin that isn't awaited is loaded after the rest of the turn, so there may be routes that it hasn't met.
  const earlier = new WeakMap<object, RateLimitHook>();
  const limitEarlier: RateLimitHook = (request, reply, done) => {
    const { config } = request.routeOptions;
    if (met in config) return done();
    const limit = earlier.get(config) ?? limitOf(config.rateLimit) ?? pass;
    earlier.set(config, limit);
    limit(request, reply, done);
  };
  const isUnmatched = hook === "onRequest" ? () => true : noteUnmatched(app);
  app.addHook(hook, (request: FastifyRequest, reply: FastifyReply, done: Done) => {
    if (!request.is404) return hasEarlierRoutes ? limitEarlier(request, reply, done) : done();
    if (limitUnknown !== undefined && isUnmatched(request)) limitUnknown(request, reply, done);
    else done();
  });
};

/**
 * Tells the requests that no route matched from those whose handler called `reply.callNotFound()`. Fastify sends the
 * latter through the later hooks a second time, and `is404` is true of both by then.
 */
function noteUnmatched(app: FastifyInstance): (request: FastifyRequest) => boolean {
  const unmatched = new WeakSet<FastifyRequest>();
  app.addHook("onRequest", (request, _, done) => {
    if (request.is404) unmatched.add(request);
    done();
  });
  return (request) => unmatched.has(request);
}

// These two properties are what fastify-plugin sets. With them the plugin adds its hooks to the instance that it is
// registered on, and not to a child of it.
Object.assign(rateLimit, { [Symbol.for("skip-override")]: true, [Symbol.for("fastify.display-name")]: "trypema" });

class PluginRequest extends NodeRequest<FastifyRequest> {
  override get proxySetting(): string | undefined {
    // Fastify's requests have `ips` only with the option trustProxy.
    return "ips" in this.raw ? "trustProxy" : undefined;
  }
}

const pass: RateLimitHook = (_, __, done) => done();

type Limits = RateLimitOptions<FastifyRequest, DenialHandler>;

function hookOf(limits: Limits): RateLimitHook {
  const guard = new Guard(limits);
  const { handler } = limits;
  return (request, reply, done) => {
    const verdict = guard.check(new PluginRequest(request, request.raw, reply.raw));
    if (isPromise(verdict)) verdict.then((given) => carryOut(given, request, reply, done, handler)).catch(done);
    else carryOut(verdict, request, reply, done, handler);
  };
}

/**
 * A hook that counts each request once. A request meets a hook of both its route and of the not-found
 * handler when the route's handler calls `reply.callNotFound()`, which is no mistake to give a notice of.
 */
function hookOnce(limits: Limits): RateLimitHook {
  const limit = hookOf(limits);
  const met = new WeakSet<FastifyRequest>();
  return (request, reply, done) => {
    if (met.has(request)) return done();
    met.add(request);
    limit(request, reply, done);
  };
}

/** The limits of a route or of a hook, with what the plugin's options share. */
function optionsOfRoute(shared: SharedOptions, own: OwnRateLimit): Limits {
  const answersItself = own.respond !== undefined || own.handler !== undefined;
  const isInherited = (name: (typeof GUARD_NAMES)[number]) =>
    shared[name] !== undefined && !(answersItself && (name === "respond" || name === "handler"));
  const given = Object.fromEntries(GUARD_NAMES.filter(isInherited).map((name) => [name, shared[name]]));
  return { ...given, ...own } as Limits;
}

function carryOut(
  verdict: Verdict,
  request: FastifyRequest,
  reply: FastifyReply,
  done: Done,
  handler: DenialHandler | undefined,
): unknown {
  if (reply.sent) return undefined;
  const { answer, denial, settle } = verdict;
  const fields = answer?.fields ?? verdict.fields;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    reply.header(name, fieldValue(name, fields[i + 1]!, reply));
  }
  if (answer !== undefined) {
    reply.code(answer.status);
    if (handler !== undefined) return chain(handler(request, reply, denial!), (payload) => sendPayload(reply, payload));
    // The body is sent as bytes, because Fastify would add a charset to the content type of a JSON text.
    return reply.send(Buffer.from(answer.body));
  }
  settleAtEnd(reply.raw, settle);
  return done();
}

/** Sends what a handler returned, as Fastify does with what its own handlers return. */
function sendPayload(reply: FastifyReply, payload: unknown): void {
  if (payload !== undefined && payload !== reply && !reply.sent) reply.send(payload);
}
