// One limiter of a guard: finds the key, the rate and the cost of a request, asks the provider, and knows what happens
// when one of them can't say.

import { systemClock } from "../core/clock.ts";
import { checkCount } from "../core/count.ts";
import { show, TrypemaError } from "../core/errors.ts";
import type { Ask } from "../core/family.ts";
import { Outage } from "../core/outage.ts";
import type { Rate } from "../core/rate.ts";
import { storeOf } from "../core/store.ts";
import type { Awaitable, Decision, Limiter, Provider } from "../core/types.ts";
import { createLocalProvider } from "../local/provider.ts";
import { allowListOf } from "./allow.ts";
import { chain, isPromise } from "./awaitable.ts";
import { Charge } from "./charge.ts";
import { clientAddress } from "./client-address.ts";
import { ClientNotices, needsPeer } from "./client-notices.ts";
import { askOne, type Counts, checkProvider, commonRateOf, countsOf, rateOfRequest } from "./counts.ts";
import { type BackendFailurePolicy, checkDefinition, type ForRequest, type LimiterDefinition } from "./definition.ts";
import { type FoundKey, type Key, storedKey, storedSharedKey, textOfKey } from "./keys.ts";
import type { Notices } from "./notices.ts";
import type { HttpRequest } from "./request.ts";

const REMEMBERED_KEYS = 1_000;

const OUTCOMES_WHILE_AWAY: Readonly<Record<"allow" | "deny" | "local", string>> = {
  allow: "pass without a limit",
  deny: "are answered with 503",
  local: "are limited by each process for itself",
};

/** What limiters of one name in one store share, because they count for the same keys. */
interface SharedCounts {
  /** The rate of the limiter that was made last; undefined where a function gives it. */
  latestRate: Rate | "none" | undefined;
}

const sharedCounts = new WeakMap<object, Map<string, SharedCounts>>();

function sharedCountsOf(limiter: Limiter, name: string): SharedCounts {
  const { place, part } = storeOf(limiter);
  const byName = sharedCounts.get(place) ?? new Map<string, SharedCounts>();
  sharedCounts.set(place, byName);
  const fullName = `${part} ${name}`;
  const found = byName.get(fullName) ?? { latestRate: undefined };
  byName.set(fullName, found);
  return found;
}

/** What a limiter asks its provider about one request. Always holds: its key, its rate and its count are valid. */
export class HttpAsk<Raw> implements Ask {
  readonly asker: HttpLimiter<Raw>;
  readonly request: HttpRequest<Raw>;
  readonly limiter: Limiter;
  readonly key: string;
  readonly rate: Rate;
  readonly count: number;
  readonly blockMs: number;

  constructor(
    asker: HttpLimiter<Raw>,
    request: HttpRequest<Raw>,
    { limiter, blockMs }: Counts,
    key: string,
    rate: Rate,
    count: number,
  ) {
    this.asker = asker;
    this.request = request;
    this.limiter = limiter;
    this.key = key;
    this.rate = rate;
    this.count = count;
    this.blockMs = blockMs;
  }
}

/** What a limiter finds in a request. */
export type Found<Raw> = HttpAsk<Raw> | Charge | undefined;

export class HttpLimiter<Raw> {
  readonly name: string;
  readonly shadow: boolean;
  readonly hidesRemaining: boolean;
  readonly windowMs: number;
  readonly strategy: "absolute" | "suppressed";
  readonly definition: LimiterDefinition<Raw>;
  readonly notices: Notices;
  readonly #key: Key<Raw>;
  readonly #isListed: ((request: HttpRequest) => boolean) | undefined;
  readonly #counts: Counts;
  /** The rate where all requests have the same. */
  readonly #rate: Rate | "none" | undefined;
  readonly #sharedCounts: SharedCounts;
  readonly #clientNotices: ClientNotices;
  /** Where it counts while the provider fails, if anywhere. */
  #fallback: Counts | undefined;
  readonly #outage = new Outage();
  #lastGiven: number | "none" = "none";
  #lastRate: Rate | "none" = "none";
  /** The stored keys of recent requests by their keys. Making and hashing one again costs as much as a decision. */
  readonly #storedKeys = new Map<string, string>();

  /**
   * @param hidesRemaining the guard's `hideRemaining`: whichever guard writes the fields, they don't say what is left
   * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
   */
  constructor(definition: LimiterDefinition<Raw>, provider: Provider, notices: Notices, hidesRemaining: boolean) {
    checkDefinition(definition);
    this.definition = definition;
    this.notices = notices;
    this.name = definition.name ?? "default";
    this.hidesRemaining = hidesRemaining;
    this.shadow = definition.shadow === true;
    this.#counts = countsOf(definition, provider);
    this.windowMs = this.#counts.windowMs;
    this.strategy = this.#counts.strategy;
    this.#key = definition.key ?? clientAddress();
    this.#isListed = allowListOf(definition.allow, this.#key);
    this.#clientNotices = new ClientNotices(this.#key, notices);
    const { onBackendFailure } = definition;
    if (typeof onBackendFailure === "object") this.#fallback = this.#countsOn(onBackendFailure.provider);
    this.#rate = commonRateOf(definition, this.windowMs);
    this.#sharedCounts = sharedCountsOf(this.#counts.limiter, `${this.#counts.keyPrefix}${this.name}`);
    this.#sharedCounts.latestRate = this.#rate;
  }

  /** Decides about a request by itself and counts it: {@link find}, then {@link ask}. */
  decide(request: HttpRequest<Raw>): Awaitable<Charge | undefined> {
    const found = this.find(request);
    if (isPromise(found)) return found.then((asked) => (asked instanceof HttpAsk ? this.ask(asked) : asked));
    return found instanceof HttpAsk ? this.ask(found) : found;
  }

  /**
   * Finds what to ask the provider about a request. A charge where that needs no asking; undefined where the limiter
   * has nothing to do with the request. An error that a function of the definition throws, or that a wrong result of it
   * causes, is thrown or rejects the promise.
   */
  find(request: HttpRequest<Raw>): Awaitable<Found<Raw>> {
    // A hot reload may make this limiter again with another rate. The old one gets no requests any more, so only a
    // limiter that still gets requests gives the notice.
    if (this.#sharedCounts.latestRate !== this.#rate) this.#noticeSharedName();
    const { skip } = this.definition;
    if (skip === undefined) return this.#findUnskipped(request);
    return chain(skip(request), (skipped) => (skipped ? undefined : this.#findUnskipped(request)));
  }

  /** Asks the provider, which counts the request if it admits it. */
  ask(ask: HttpAsk<Raw>): Awaitable<Charge> {
    let decision: Awaitable<Decision>;
    try {
      decision = askOne(ask, this.#counts.family, this.windowMs);
    } catch (error) {
      return this.standIn(ask, error);
    }
    if (!isPromise(decision)) return this.charge(ask, decision, true);
    return decision.then(
      (made) => this.charge(ask, made, true),
      (error) => this.standIn(ask, error),
    );
  }

  /** @param isCounted false where the provider admits the request, but another limiter of the same take denies it */
  charge({ limiter, key, count }: HttpAsk<Raw>, decision: Decision, isCounted: boolean): Charge {
    if (this.#outage.lasts && !decision.degraded) this.#noteAnswer();
    return Charge.decided(this, { decision, isCounted, counter: limiter, key, cost: count });
  }

  /** Does what `onBackendFailure` says, after the provider has failed. */
  standIn(ask: HttpAsk<Raw>, error: unknown): Awaitable<Charge> {
    if (error instanceof TrypemaError && !error.code.startsWith("BACKEND")) throw error;
    const { onBackendFailure = "allow" } = this.definition;
    if (this.#outage.addCall(systemClock())) this.#noteAway(onBackendFailure, error);
    if (typeof onBackendFailure === "function") {
      return chain(onBackendFailure(ask.request, error), (answer) => this.#undecided(checkedAnswer(answer), error));
    }
    if (onBackendFailure === "allow" || onBackendFailure === "deny") return this.#undecided(onBackendFailure, error);
    const { windowMs, bucketMs } = this.#counts;
    this.#fallback ??= this.#countsOn(createLocalProvider({ windowMs, bucketMs }));
    return this.#askFallback(ask, this.#fallback, error);
  }

  #undecided(answer: "allow" | "deny", error: unknown): Charge {
    return Charge.undecided(this, "unavailable", this.shadow || answer === "allow", error);
  }

  /** Where this limiter counts on another provider: in the same window. */
  #countsOn(provider: Provider): Counts {
    checkProvider("onBackendFailure.provider", provider);
    const window = provider.windowMs === this.windowMs ? {} : { windowMs: this.windowMs };
    return countsOf({ ...this.definition, ...window }, provider);
  }

  /** Asks the provider that decides meanwhile. */
  #askFallback(ask: HttpAsk<Raw>, { limiter, family, keyPrefix }: Counts, error: unknown): Awaitable<Charge> {
    const key = keyPrefix + ask.key.slice(this.#counts.keyPrefix.length);
    const { count: cost } = ask;
    const fail = (again: unknown) =>
      this.#undecided("allow", new AggregateError([error, again], "both providers failed"));
    try {
      const decision = askOne({ ...ask, limiter, key }, family, this.windowMs);
      const charge = (made: Decision) =>
        Charge.decided(this, { decision: made, isCounted: true, counter: limiter, key, cost, error });
      return isPromise(decision) ? decision.then(charge, fail) : charge(decision);
    } catch (again) {
      return fail(again);
    }
  }

  #noteAway(policy: BackendFailurePolicy<Raw>, error: unknown): void {
    const does =
      typeof policy === "string"
        ? OUTCOMES_WHILE_AWAY[policy]
        : "are decided by your function, or by the other provider";
    const { code } = error instanceof TrypemaError ? error : { code: "the provider's own error" };
    this.notices.tellAgain(
      "BACKEND_AWAY",
      `the provider fails (${code}); until it is back requests ${does}, as onBackendFailure says`,
    );
  }

  #noteAnswer(): void {
    const past = this.#outage.endAt(systemClock());
    if (past === undefined) return;
    this.notices.tellAgain("BACKEND_BACK", `the provider decides again; it failed at ${past.calls} requests`);
  }

  #noticeSharedName(): void {
    this.notices.tell(
      "NAME_SHARED",
      "another limiter of this name counts in the same place at another rate, so each uses up what the other allows; " +
        "give each a name of its own, or, in Redis, its provider a prefix of its own",
    );
  }

  /** Whether every request is denied, or passes uncounted, when the peer's address isn't known. */
  get needsPeer(): boolean {
    return needsPeer(this.#key) && typeof this.definition.onMissingKey !== "object";
  }

  #findUnskipped(request: HttpRequest<Raw>): Awaitable<Found<Raw>> {
    if (this.#clientNotices.isInspecting) this.#clientNotices.inspect(request);
    if (this.#isListed?.(request)) return undefined;
    const key = this.#key(request);
    return isPromise(key) ? key.then((found) => this.#findForKey(request, found)) : this.#findForKey(request, key);
  }

  #findForKey(request: HttpRequest<Raw>, found: FoundKey): Awaitable<Found<Raw>> {
    const key = textOfKey(found);
    if (key !== undefined) {
      const known = this.#storedKeys.get(key);
      if (known !== undefined) return this.#findUnlessAllowed(request, key, known);
      this.#clientNotices.noteNewKey(key);
      const stored = storedKey(this.#counts.keyPrefix, key);
      if (typeof stored === "string") this.#remember(key, stored);
      return isPromise(stored)
        ? stored.then((text) => this.#findUnlessAllowed(request, key, text))
        : this.#findUnlessAllowed(request, key, stored);
    }
    this.#clientNotices.noteMissingKey(request);
    const policy = this.definition.onMissingKey ?? "reject";
    if (typeof policy !== "object") return Charge.undecided(this, "missing-key", this.shadow || policy === "skip");
    return this.#findUnlessAllowed(request, "", storedSharedKey(this.#counts.keyPrefix, policy.shared));
  }

  #remember(key: string, stored: string): void {
    if (this.#storedKeys.size >= REMEMBERED_KEYS) this.#storedKeys.clear();
    this.#storedKeys.set(key, stored);
  }

  /** @param stored the form of the key that the provider gets */
  #findUnlessAllowed(request: HttpRequest<Raw>, key: string, stored: string): Awaitable<Found<Raw>> {
    const { allow } = this.definition;
    if (typeof allow !== "function") return this.#findForStoredKey(request, key, stored);
    return chain(allow(request, key), (isAllowed) =>
      isAllowed ? undefined : this.#findForStoredKey(request, key, stored),
    );
  }

  #findForStoredKey(request: HttpRequest<Raw>, key: string, stored: string): Awaitable<Found<Raw>> {
    if (this.#rate !== undefined) return this.#findAtRate(request, key, stored, this.#rate);
    const { rate, limit } = this.definition;
    const given = ((rate ?? limit) as ForRequest<Raw, number | "none">)(request, key);
    return isPromise(given)
      ? given.then((now) => this.#findAtRate(request, key, stored, this.#checkedRate(now)))
      : this.#findAtRate(request, key, stored, this.#checkedRate(given));
  }

  #findAtRate(request: HttpRequest<Raw>, key: string, stored: string, rate: Rate | "none"): Awaitable<Found<Raw>> {
    const { cost = 1 } = this.definition;
    if (typeof cost !== "function") return this.#askFor(request, stored, rate, cost);
    const given = cost(request, key);
    return isPromise(given)
      ? given.then((now) => this.#askFor(request, stored, rate, checkedCost(now)))
      : this.#askFor(request, stored, rate, checkedCost(given));
  }

  /** The rate that a function gave; successive requests mostly bring the same one. */
  #checkedRate(given: number | "none"): Rate | "none" {
    if (given !== this.#lastGiven) {
      this.#lastRate = rateOfRequest(this.definition, given, this.windowMs);
      this.#lastGiven = given;
    }
    return this.#lastRate;
  }

  /** At a cost of 0 the limiter has nothing to do with the request, unless its rate denies all requests. */
  #askFor(request: HttpRequest<Raw>, key: string, rate: Rate | "none", cost: number): Found<Raw> {
    if (rate === "none") return Charge.atRateNone(this, key, cost);
    if (cost === 0) return undefined;
    return new HttpAsk(this, request, this.#counts, key, rate, cost);
  }
}

/** @throws {TrypemaError} `INVALID_OPTION` unless it is what a function as `onBackendFailure` may say */
function checkedAnswer(answer: unknown): "allow" | "deny" {
  if (answer === "allow" || answer === "deny") return answer;
  throw new TrypemaError("INVALID_OPTION", `onBackendFailure: got ${show(answer)}, expected "allow" or "deny"`);
}

function checkedCost(cost: number): number {
  checkCount("cost", cost, 0);
  return cost;
}
