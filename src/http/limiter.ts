// One limiter of a guard: finds the key, the rate and the cost of a request, asks the provider, and knows what happens
// when one of them can't say.

import { systemClock } from "../core/clock.ts";
import { checkCount } from "../core/count.ts";
import { show, TrypemaError } from "../core/errors.ts";
import type { Ask } from "../core/family.ts";
import { copyOf } from "../core/key.ts";
import { Outage } from "../core/outage.ts";
import type { Rate } from "../core/rate.ts";
import type { Awaitable, Decision, Limiter, Provider } from "../core/types.ts";
import { allowListOf } from "./allow.ts";
import { chain, isPromise } from "./awaitable.ts";
import { Charge } from "./charge.ts";
import { clientAddress } from "./client-address.ts";
import { ClientNotices, needsPeer } from "./client-notices.ts";
import { askOne, type Counts, keyPrefixOf } from "./counts.ts";
import { type BackendFailurePolicy, checkDefinition, type ForRequest, type LimiterDefinition } from "./definition.ts";
import { type FoundKey, type Key, storedKey, storedSharedKey, textOfKey } from "./keys.ts";
import { type LimiterWindow, LimiterWindows } from "./limiter-window.ts";
import type { Notices } from "./notices.ts";
import type { HttpRequest } from "./request.ts";

const REMEMBERED_KEYS = 1_000;

const OUTCOMES_WHILE_AWAY: Readonly<Record<"allow" | "deny" | "local", string>> = {
  allow: "pass without a limit",
  deny: "are answered with 503",
  local: "are limited by each process for itself",
};

/** What a limiter asks its provider about one request. Always holds: its key, its rate and its count are valid. */
export class HttpAsk<Raw> implements Ask {
  readonly asker: HttpLimiter<Raw>;
  readonly request: HttpRequest<Raw>;
  readonly window: LimiterWindow<Raw>;
  readonly limiter: Limiter;
  readonly key: string;
  readonly rate: Rate;
  readonly count: number;
  readonly blockMs: number;

  constructor(
    asker: HttpLimiter<Raw>,
    request: HttpRequest<Raw>,
    window: LimiterWindow<Raw>,
    key: string,
    rate: Rate,
    count: number,
  ) {
    this.asker = asker;
    this.request = request;
    this.window = window;
    this.limiter = window.counts.limiter;
    this.key = key;
    this.rate = rate;
    this.count = count;
    this.blockMs = window.counts.blockMs;
  }
}

/** What a limiter finds in a request. */
export type Found<Raw> = HttpAsk<Raw> | Charge | undefined;

export class HttpLimiter<Raw> {
  readonly name: string;
  readonly shadow: boolean;
  readonly countsDenied: boolean;
  readonly hidesRemaining: boolean;
  readonly strategy: "absolute" | "suppressed";
  readonly definition: LimiterDefinition<Raw>;
  readonly notices: Notices;
  readonly #key: Key<Raw>;
  readonly #isListed: ((request: HttpRequest) => boolean) | undefined;
  readonly #windows: LimiterWindows<Raw>;
  readonly #keyPrefix: string;
  readonly #clientNotices: ClientNotices;
  readonly #outage = new Outage();
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
    this.countsDenied = definition.countDenied === true;
    this.strategy = definition.strategy ?? "absolute";
    this.#windows = new LimiterWindows(definition, provider);
    this.#keyPrefix = keyPrefixOf(definition, provider);
    this.#key = definition.key ?? clientAddress();
    this.#isListed = allowListOf(definition.allow, this.#key);
    this.#clientNotices = new ClientNotices(this.#key, notices);
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
    const { skip } = this.definition;
    if (skip === undefined) return this.#findUnskipped(request);
    return chain(skip(request), (skipped) => (skipped ? undefined : this.#findUnskipped(request)));
  }

  /** Asks the provider, which counts the request if it admits it. */
  ask(ask: HttpAsk<Raw>): Awaitable<Charge> {
    let decision: Awaitable<Decision>;
    try {
      decision = askOne(ask, ask.window.counts);
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
  charge({ window, limiter, key, count }: HttpAsk<Raw>, decision: Decision, isCounted: boolean): Charge {
    if (this.#outage.lasts && !decision.degraded) this.#noteAnswer();
    const { windowMs } = window.counts;
    return Charge.decided(this, { decision, isCounted, counter: limiter, windowMs, key, cost: count });
  }

  /** Does what `onBackendFailure` says, after the provider has failed. */
  standIn(ask: HttpAsk<Raw>, error: unknown): Awaitable<Charge> {
    if (error instanceof TrypemaError && !error.code.startsWith("BACKEND")) throw error;
    const { onBackendFailure = "allow" } = this.definition;
    if (this.#outage.addCall(systemClock())) this.#noteAway(onBackendFailure, error);
    if (typeof onBackendFailure === "function") {
      return chain(onBackendFailure(ask.request, error), (answer) =>
        this.#undecided(checkedAnswer(this.name, answer), error),
      );
    }
    if (onBackendFailure === "allow" || onBackendFailure === "deny") return this.#undecided(onBackendFailure, error);
    return this.#askSubstitute(ask, ask.window.substituteCounts(), error);
  }

  #undecided(answer: "allow" | "deny", error: unknown): Charge {
    return Charge.undecided(this, "unavailable", this.shadow || answer === "allow", error);
  }

  /** Asks the provider that decides meanwhile. */
  #askSubstitute(ask: HttpAsk<Raw>, counts: Counts, error: unknown): Awaitable<Charge> {
    const key = counts.keyPrefix + ask.key.slice(this.#keyPrefix.length);
    const { limiter, windowMs } = counts;
    const { count: cost } = ask;
    const fail = (again: unknown) =>
      this.#undecided("allow", new AggregateError([error, again], "both providers failed"));
    try {
      const decision = askOne({ ...ask, limiter, key }, counts);
      const charge = (made: Decision) =>
        Charge.decided(this, { decision: made, isCounted: true, counter: limiter, windowMs, key, cost, error });
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
    const requests = past.calls === 1 ? "1 request" : `${past.calls} requests`;
    this.notices.tellAgain("BACKEND_BACK", `the provider decides again; it failed for ${requests}`);
  }

  #noticeSharedName(): void {
    this.notices.tell(
      "NAME_SHARED",
      "another limiter with this name counts in the same place at another rate, " +
        "so each uses up what the other allows; give each limiter a different name, " +
        "or, in Redis, give its provider a different prefix",
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
    const key = textOfKey(found, this.name);
    if (key !== undefined) {
      const known = this.#storedKeys.get(key);
      if (known !== undefined) return this.#findUnlessAllowed(request, key, known);
      this.#clientNotices.noteNewKey(key);
      const stored = storedKey(this.#keyPrefix, key);
      if (typeof stored === "string") this.#remember(key, stored);
      return isPromise(stored)
        ? stored.then((text) => this.#findUnlessAllowed(request, key, text))
        : this.#findUnlessAllowed(request, key, stored);
    }
    const policy = this.definition.onMissingKey ?? "reject";
    this.#clientNotices.noteMissingKey(request, policy === "reject" && !this.shadow);
    if (typeof policy !== "object") return Charge.undecided(this, "missing-key", this.shadow || policy === "skip");
    return this.#findUnlessAllowed(request, "", storedSharedKey(this.#keyPrefix, policy.shared));
  }

  #remember(key: string, stored: string): void {
    if (this.#storedKeys.size >= REMEMBERED_KEYS) this.#storedKeys.clear();
    this.#storedKeys.set(copyOf(key), copyOf(stored));
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
    const { common } = this.#windows;
    if (common !== undefined) return this.#findInWindow(common, request, key, stored);
    const given = (this.definition.windowMs as ForRequest<Raw, number>)(request, key);
    return chain(given, (windowMs) => this.#findInWindow(this.#windows.of(windowMs), request, key, stored));
  }

  // The steps below are methods with arguments, because closures made a check of the guard take a seventh longer.

  #findInWindow(
    window: LimiterWindow<Raw>,
    request: HttpRequest<Raw>,
    key: string,
    stored: string,
  ): Awaitable<Found<Raw>> {
    // A hot reload may make this limiter again with another rate. The old one gets no requests any more, so only a
    // limiter that still gets requests gives the notice.
    if (window.isSharedAtAnotherRate) this.#noticeSharedName();
    if (window.rate !== undefined) return this.#findAtRate(window, request, key, stored, window.rate);
    const { rate, limit } = this.definition;
    const given = ((rate ?? limit) as ForRequest<Raw, number | "none">)(request, key);
    return isPromise(given)
      ? given.then((now) => this.#findAtRate(window, request, key, stored, window.checkedRate(now)))
      : this.#findAtRate(window, request, key, stored, window.checkedRate(given));
  }

  #findAtRate(
    window: LimiterWindow<Raw>,
    request: HttpRequest<Raw>,
    key: string,
    stored: string,
    rate: Rate | "none",
  ): Awaitable<Found<Raw>> {
    const { cost = 1 } = this.definition;
    if (typeof cost !== "function") return this.#askFor(window, request, stored, rate, cost);
    const given = cost(request, key);
    return isPromise(given)
      ? given.then((now) => this.#askFor(window, request, stored, rate, this.#checkedCost(now)))
      : this.#askFor(window, request, stored, rate, this.#checkedCost(given));
  }

  #checkedCost(cost: number): number {
    checkCount(`${this.name}.cost`, cost, 0);
    return cost;
  }

  /** At a cost of 0 the limiter has nothing to do with the request, unless its rate denies all requests. */
  #askFor(
    window: LimiterWindow<Raw>,
    request: HttpRequest<Raw>,
    key: string,
    rate: Rate | "none",
    cost: number,
  ): Found<Raw> {
    if (rate === "none") return Charge.atRateNone(this, window.counts.windowMs, key, cost);
    return cost === 0 ? undefined : new HttpAsk(this, request, window, key, rate, cost);
  }
}

/** @throws {TrypemaError} `INVALID_OPTION` unless it is what a function as `onBackendFailure` may say */
function checkedAnswer(limiter: string, answer: unknown): "allow" | "deny" {
  if (answer === "allow" || answer === "deny") return answer;
  throw new TrypemaError(
    "INVALID_OPTION",
    `${limiter}.onBackendFailure: its function returned ${show(answer)}, expected "allow" or "deny"`,
  );
}
