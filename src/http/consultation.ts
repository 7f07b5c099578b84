// What the limiters of a guard say about one request, where there are several. They are asked as one: each of them
// admits the request and counts it, or none counts anything.

import type { Family, TakeDecisions } from "../core/family.ts";
import type { Awaitable } from "../core/types.ts";
import { chain, isPromise, some } from "./awaitable.ts";
import { Charge } from "./charge.ts";
import type { Found, HttpAsk, HttpLimiter } from "./limiter.ts";
import type { HttpRequest } from "./request.ts";

/**
 * Keeps a charge of a limiter with the request, or notes that the limiter skipped the request. Returns whether the
 * charge denies the request; never throws.
 */
export type KeepCharge<Raw> = (charge: Charge | undefined, limiter: HttpLimiter<Raw>) => boolean;

/**
 * One request before several limiters. First all of them find what to ask, in their order, so that an error of a
 * callback takes nothing. Then the limiters that can deny the request are asked. The shadows are asked after these have
 * admitted the request.
 */
export class Consultation<Raw> {
  /** The limiter that was called last: an error is that limiter's. */
  current: HttpLimiter<Raw>;
  readonly #limiters: readonly HttpLimiter<Raw>[];
  readonly #family: Family | undefined;
  readonly #request: HttpRequest<Raw>;
  readonly #keep: KeepCharge<Raw>;
  /** Of the limiters that can deny the request. */
  readonly #asks: HttpAsk<Raw>[] = [];
  readonly #asksOfShadows: HttpAsk<Raw>[] = [];

  /** @param family the family of the provider; limiters of a provider without one are asked one after the other */
  constructor(
    limiters: readonly HttpLimiter<Raw>[],
    family: Family | undefined,
    request: HttpRequest<Raw>,
    keep: KeepCharge<Raw>,
  ) {
    this.current = limiters[0]!;
    this.#limiters = limiters;
    this.#family = family;
    this.#request = request;
    this.#keep = keep;
  }

  /** Whether the request is denied. */
  decide(): Awaitable<boolean> {
    return this.#findFrom(0);
  }

  /** Has the limiters from `first` on find what to ask, and asks. */
  #findFrom(first: number): Awaitable<boolean> {
    for (let i = first; i < this.#limiters.length; i++) {
      const limiter = this.#limiters[i]!;
      this.current = limiter;
      const found = limiter.find(this.#request);
      if (isPromise(found)) return found.then((made) => this.#note(limiter, made) || this.#findFrom(i + 1));
      if (this.#note(limiter, found)) return true;
    }
    return this.#askAll();
  }

  /** Returns whether the request is denied unasked. */
  #note(limiter: HttpLimiter<Raw>, found: Found<Raw>): boolean {
    if (found === undefined || found instanceof Charge) return this.#keep(found, limiter);
    (limiter.shadow ? this.#asksOfShadows : this.#asks).push(found);
    return false;
  }

  #askAll(): Awaitable<boolean> {
    const isTake = this.#family !== undefined && this.#asks.length > 1;
    const denied = isTake ? this.#take(this.#family!, this.#asks) : this.#askEach(this.#asks);
    if (this.#asksOfShadows.length === 0) return denied;
    return chain(denied, (isDenied) => isDenied || this.#askEach(this.#asksOfShadows));
  }

  /** Asks about one after the other, until a limiter denies the request. */
  #askEach(asks: readonly HttpAsk<Raw>[]): Awaitable<boolean> {
    return some(asks, (ask) => chain(ask.asker.ask(ask), (charge) => this.#keep(charge, ask.asker)));
  }

  /** Asks about all at once. */
  #take(family: Family, asks: readonly HttpAsk<Raw>[]): Awaitable<boolean> {
    let taken: Awaitable<TakeDecisions>;
    try {
      taken = family.take(asks);
    } catch (error) {
      return this.#standIn(asks, error);
    }
    if (!isPromise(taken)) return this.#keepTaken(asks, taken);
    return taken.then(
      (made) => this.#keepTaken(asks, made),
      (error) => this.#standIn(asks, error),
    );
  }

  #keepTaken(asks: readonly HttpAsk<Raw>[], { decisions }: TakeDecisions): boolean {
    const isTaken = decisions.every(({ allowed }) => allowed);
    for (let i = 0; i < asks.length; i++) {
      const ask = asks[i]!;
      this.#keep(ask.asker.charge(ask, decisions[i]!, isTaken), ask.asker);
    }
    return !isTaken;
  }

  /** Has each limiter do what it is to do where the provider has failed, until one denies the request. */
  #standIn(asks: readonly HttpAsk<Raw>[], error: unknown): Awaitable<boolean> {
    return some(asks, (ask) => {
      this.current = ask.asker;
      return chain(ask.asker.standIn(ask, error), (charge) => this.#keep(charge, ask.asker));
    });
  }
}
