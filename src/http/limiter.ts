// One limiter of a guard: finds the key, the rate and the cost of a request, asks the provider, and knows what happens
// when one of them can't say.

import { TrypemaError } from "../core/errors.ts";
import type { Rate } from "../core/rate.ts";
import { storeOf } from "../core/store.ts";
import type { Awaitable, Decision, Limiter, Provider } from "../core/types.ts";
import { createLocalProvider, type LocalProvider } from "../local/provider.ts";
import { chain, isPromise } from "./awaitable.ts";
import { Charge } from "./charge.ts";
import { clientAddress } from "./client-address.ts";
import { ClientNotices, needsPeer } from "./client-notices.ts";
import { checkDefinition, type LimiterDefinition } from "./definition.ts";
import { type FoundKey, type Key, storedKey, storedSharedKey, textOfKey } from "./keys.ts";
import type { Notices } from "./notices.ts";
import type { HttpRequest } from "./request.ts";

const REMEMBERED_KEYS = 1_000;

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

export class HttpLimiter<Raw> {
  readonly name: string;
  readonly shadow: boolean;
  readonly windowMs: number;
  readonly definition: LimiterDefinition<Raw>;
  readonly notices: Notices;
  readonly #key: Key<Raw>;
  readonly #strategy: "absolute" | "suppressed";
  readonly #limiter: Limiter;
  /** The rate where all requests have the same. */
  readonly #rate: Rate | "none" | undefined;
  readonly #sharedCounts: SharedCounts;
  readonly #clientNotices: ClientNotices;
  #fallback: LocalProvider | undefined;
  /** The stored keys of recent requests by their keys. Making and hashing one again costs as much as a decision. */
  readonly #storedKeys = new Map<string, string>();

  /** @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `CAPACITY_BELOW_ONE` */
  constructor(definition: LimiterDefinition<Raw>, provider: Provider, notices: Notices) {
    checkDefinition(definition, provider);
    this.definition = definition;
    this.notices = notices;
    this.name = definition.name ?? "default";
    this.shadow = definition.shadow === true;
    this.windowMs = provider.windowMs;
    this.#key = definition.key ?? clientAddress();
    this.#clientNotices = new ClientNotices(this.#key, notices);
    this.#strategy = definition.strategy ?? "absolute";
    this.#limiter = provider[this.#strategy];
    this.#rate = typeof definition.rate === "function" ? undefined : definition.rate;
    this.#sharedCounts = sharedCountsOf(this.#limiter, this.name);
    this.#sharedCounts.latestRate = this.#rate;
  }

  /**
   * Decides about a request and counts it; undefined when it is skipped. An error that a function of the definition
   * throws, or that a wrong result of it causes, is thrown or rejects the promise.
   */
  decide(request: HttpRequest<Raw>): Awaitable<Charge | undefined> {
    // A hot reload may make this limiter again with another rate. The old one gets no requests any more, so only a
    // limiter that still gets requests gives the notice.
    if (this.#sharedCounts.latestRate !== this.#rate) this.#noticeSharedName();
    const { skip } = this.definition;
    if (skip === undefined) return this.#decideUnskipped(request);
    return chain(skip(request), (skipped) => (skipped ? undefined : this.#decideUnskipped(request)));
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

  #decideUnskipped(request: HttpRequest<Raw>): Awaitable<Charge | undefined> {
    if (this.#clientNotices.isInspecting) this.#clientNotices.inspect(request);
    const key = this.#key(request);
    return isPromise(key) ? key.then((found) => this.#decideForKey(request, found)) : this.#decideForKey(request, key);
  }

  #decideForKey(request: HttpRequest<Raw>, found: FoundKey): Awaitable<Charge | undefined> {
    const key = textOfKey(found);
    if (key !== undefined) {
      const known = this.#storedKeys.get(key);
      if (known !== undefined) return this.#decideForStoredKey(request, known);
      this.#clientNotices.noteNewKey(key);
      const stored = storedKey(this.name, key);
      if (typeof stored === "string") this.#remember(key, stored);
      return isPromise(stored)
        ? stored.then((text) => this.#decideForStoredKey(request, text))
        : this.#decideForStoredKey(request, stored);
    }
    this.#clientNotices.noteMissingKey(request);
    const policy = this.definition.onMissingKey ?? "reject";
    if (typeof policy === "object") return this.#decideForStoredKey(request, storedSharedKey(this.name, policy.shared));
    return Charge.undecided(this, "missing-key", this.shadow || policy === "skip");
  }

  #remember(key: string, stored: string): void {
    if (this.#storedKeys.size >= REMEMBERED_KEYS) this.#storedKeys.clear();
    this.#storedKeys.set(key, stored);
  }

  #decideForStoredKey(request: HttpRequest<Raw>, key: string): Awaitable<Charge | undefined> {
    const { rate, cost = 1 } = this.definition;
    if (typeof rate !== "function" && typeof cost !== "function") return this.#charge(key, rate, cost);
    return chain(typeof rate === "function" ? rate(request) : rate, (rateNow) =>
      chain(typeof cost === "function" ? cost(request) : cost, (costNow) => this.#charge(key, rateNow, costNow)),
    );
  }

  /** Asks the provider. Undefined when the request costs 0: then the limiter has nothing to do with it. */
  #charge(key: string, rate: Rate | "none", cost: number): Awaitable<Charge | undefined> {
    if (rate === "none") return Charge.atRateNone(this, key, cost);
    if (cost === 0) return undefined;
    let decision: Awaitable<Decision>;
    try {
      decision = this.#limiter.inc(key, rate, cost);
    } catch (error) {
      return this.#unavailable(error, key, rate, cost);
    }
    if (!isPromise(decision)) return Charge.decided(this, { decision, counter: this.#limiter, key, cost });
    return decision.then(
      (made) => Charge.decided(this, { decision: made, counter: this.#limiter, key, cost }),
      (error) => this.#unavailable(error, key, rate, cost),
    );
  }

  #unavailable(error: unknown, key: string, rate: Rate, cost: number): Charge {
    if (error instanceof TrypemaError && !error.code.startsWith("BACKEND")) throw error;
    const policy = this.definition.onBackendFailure ?? "allow";
    if (policy !== "local") return Charge.undecided(this, "unavailable", this.shadow || policy === "allow", error);
    this.#fallback ??= createLocalProvider({ windowMs: this.windowMs });
    const counter = this.#fallback[this.#strategy];
    return Charge.decided(this, { decision: counter.inc(key, rate, cost), counter, key, cost, error });
  }
}
