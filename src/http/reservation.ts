// The charges of all limiters of one request. They are kept with the request, so that a handler can correct them and a
// later limiter that denies the request can give them back.

import { checkCount } from "../core/count.ts";
import { show, TrypemaError } from "../core/errors.ts";
import type { Decision } from "../core/types.ts";
import type { Charge } from "./charge.ts";
import { type HttpRequest, isObject } from "./request.ts";

/** What the limiters have counted for a request. */
export interface Reservation {
  /** The decisions about the request, in order. Limiters that skipped the request are not among them. */
  readonly decisions: readonly { readonly limiter: string; readonly decision: Decision | undefined }[];
  /**
   * Corrects what the request costs: `delta` is how much more it took than was reserved, or, below 0, how much less.
   * Never gives back more than the request took, and nothing once the window has passed.
   *
   * @param limiter the limiter's name; may be left out when there is only one. A limiter that skipped the request does
   *   nothing.
   * @returns resolves when the provider knows, and never rejects: a failure is reported to `onError`
   * @throws {TrypemaError} `INVALID_COUNT` unless `delta` is an integer; `INVALID_OPTION` when the name is missing, or
   *   is that of no limiter of the request
   */
  adjust(delta: number, limiter?: string): Promise<void>;
}

/** A guard that decides about a request. */
interface DecidingGuard {
  readonly limiterNames: readonly string[];
}

/** Told when a charge could not be corrected; never throws. */
export type ReportSettlement = (error: unknown, limiter: string) => void;

const NOTHING: readonly never[] = [];
const LEDGER = Symbol("trypema.ledger");

/** What a ledger is kept with. */
interface Keeper {
  [LEDGER]?: Ledger;
}

/**
 * The object that keeps the ledger of a request. It is the request itself, or the list of its raw header lines when
 * the request is a message of node:http: one more property makes the messages of Express slow, by as much as thirty
 * limiters cost. A WeakMap would cost twice what a limiter does. Other runtimes imitate these messages and may make the
 * list anew whenever they are asked for it, so only a list that is the message's own property will do.
 */
function keeperOf(raw: object): Keeper {
  const { rawHeaders } = Object.hasOwn(raw, "rawHeaders") ? (raw as { rawHeaders?: Keeper }) : {};
  return Array.isArray(rawHeaders) ? rawHeaders : (raw as Keeper);
}

/** The ledgers of frozen requests, which can't get a property. */
const ledgersOfFrozen = new WeakMap<object, Ledger>();

function ledgerOf(keeper: Keeper): Ledger | undefined {
  return keeper[LEDGER] ?? ledgersOfFrozen.get(keeper);
}

function keep(ledger: Ledger, keeper: Keeper): void {
  // To ask `Object.isExtensible` here and in `ledgerOf`, each with a keeper that was looked up anew, made a check of a
  // guard and its fields take 0.48 µs in place of 0.4.
  try {
    keeper[LEDGER] = ledger;
  } catch {
    ledgersOfFrozen.set(keeper, ledger);
  }
}

/**
 * The charges of one request. A ledger lasts until the request is answered: whatever comes with the same `raw` after
 * that is another request. These always hold:
 * - It has at most one charge of each limiter.
 * - A guard decides once while the ledger lasts.
 */
export class Ledger implements Reservation {
  charges: readonly Charge[] = NOTHING;
  readonly #request: HttpRequest;
  readonly #report: ReportSettlement;
  #guards: readonly DecidingGuard[] = NOTHING;

  private constructor(request: HttpRequest, report: ReportSettlement) {
    this.#request = request;
    this.#report = report;
  }

  /** The ledger of a request about which `guard` is going to decide. Opens one when the request has none. */
  static openFor(request: HttpRequest, guard: DecidingGuard, report: ReportSettlement): Ledger {
    const keeper = keeperOf(request.raw as object);
    const known = ledgerOf(keeper);
    if (known !== undefined && !known.#isOver(request, guard)) return known;
    const ledger = new Ledger(request, report);
    keep(ledger, keeper);
    return ledger;
  }

  /** Whether the request was answered. When the adapter can't tell, each check by the same guard is a new request. */
  #isOver({ isAnswered }: HttpRequest, guard: DecidingGuard): boolean {
    if (this.isDenied || this.#request.isAnswered === true) return true;
    return isAnswered === undefined && this.#guards.includes(guard);
  }

  /** Notes that a guard decides about the request; returns false when it has done so before. */
  addGuard(guard: DecidingGuard): boolean {
    if (this.#guards.includes(guard)) return false;
    this.#guards = this.#guards.length === 0 ? [guard] : [...this.#guards, guard];
    return true;
  }

  /** Makes a new list, because for one limiter, the usual number, that is cheaper than a list that can grow. */
  addCharge(charge: Charge): void {
    this.charges = this.charges.length === 0 ? [charge] : [...this.charges, charge];
  }

  /** Whether a limiter has denied the request. */
  get isDenied(): boolean {
    return this.charges.some(({ admitted }) => !admitted);
  }

  get decisions() {
    return this.charges.map(({ limiter, decision }) => ({ limiter: limiter.name, decision }));
  }

  adjust(delta: number, name?: string): Promise<void> {
    checkCount("delta", delta, Number.MIN_SAFE_INTEGER);
    if (name === undefined && this.charges.length > 1) {
      const names = this.charges.map(({ limiter }) => limiter.name).join(", ");
      throw new TrypemaError("INVALID_OPTION", `adjust: this request has several limiters, name one: ${names}`);
    }
    const names = this.#guards.flatMap(({ limiterNames }) => limiterNames);
    if (name !== undefined && !names.includes(name)) {
      const known = names.join(", ");
      throw new TrypemaError(
        "INVALID_OPTION",
        `adjust: got ${show(name)}, expected a limiter of the request: ${known}`,
      );
    }
    const named = this.charges.filter(({ limiter }) => name === undefined || limiter.name === name);
    return this.#settle(named, (charge) => charge.adjust(delta));
  }

  /** Gives charges back. Never rejects. */
  giveBack(charges: readonly Charge[]): Promise<void> {
    return this.#settle(charges, (charge) => charge.giveBack());
  }

  /** Gives back what was counted for a request that isn't served. Never rejects. */
  giveBackUnserved(): Promise<void> {
    return this.giveBack(this.charges.filter(({ limiter }) => !limiter.countsDenied));
  }

  async #settle(charges: readonly Charge[], settle: (charge: Charge) => unknown): Promise<void> {
    const settleOne = async (charge: Charge) => {
      try {
        await settle(charge);
      } catch (error) {
        this.#report(error, charge.limiter.name);
      }
    };
    await Promise.all(charges.map(settleOne));
  }
}

/**
 * What the limiters have counted for a request, so that you can correct it afterwards.
 *
 * @param raw what your handler gets from the framework: the request in Express, Fastify, node:http and fetch handlers,
 *   the context in Hono and Koa
 * @throws {TrypemaError} `INVALID_OPTION` when no limiter has seen the request
 */
export function reservationOf(raw: object): Reservation {
  const ledger = isObject(raw) ? ledgerOf(keeperOf(raw)) : undefined;
  if (ledger !== undefined) return ledger;
  throw new TrypemaError("INVALID_OPTION", `reservationOf: got ${show(raw)} that no limiter has seen`);
}
