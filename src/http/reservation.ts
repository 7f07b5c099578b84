// What all limiters of a request took together, kept with the request, so that handlers can correct it and a limiter
// further on can give it back.

import { checkCount } from "../core/count.ts";
import { show, TrypemaError } from "../core/errors.ts";
import type { Decision } from "../core/types.ts";
import type { HttpRequest } from "./request.ts";
import type { Taking } from "./taking.ts";

/** What a request has taken from its limiters. */
export interface Reservation {
  /** What was decided, in order, by the limiters that had to do with the request. */
  readonly decisions: readonly { readonly limiter: string; readonly decision: Decision | undefined }[];
  /**
   * Corrects what the request costs: by what it took more than was reserved, or, below 0, less. It never gives back
   * more than the request took, and nothing once the window has passed.
   *
   * @param limiter by name; may be left out where there is only one. A limiter that skipped the request does nothing.
   * @returns done when the provider knows; it never rejects: a failure is reported to `onError`
   * @throws {TrypemaError} `INVALID_COUNT` unless `delta` is an integer, `INVALID_OPTION` when the name is missing
   */
  adjust(delta: number, limiter?: string): Promise<void>;
}

/** Told when usage could not be corrected; never throws. */
export type ReportSettlement = (error: unknown, limiter: string) => void;

const NOTHING: readonly never[] = [];
const PASS = Symbol("trypema.pass");

/**
 * Where the pass of a request is kept. That is the request itself, or the list of its raw header lines where it is a
 * message of node:http: a property more makes those of Express slow, by as much as thirty limiters. A WeakMap costs
 * twice what a limiter does. Messages that other runtimes imitate may make that list anew whenever they are asked, so
 * it has to be a property of their own.
 */
function holderOf(raw: object): { [PASS]?: Pass } {
  const { rawHeaders } = Object.hasOwn(raw, "rawHeaders") ? (raw as { rawHeaders?: { [PASS]?: Pass } }) : {};
  return Array.isArray(rawHeaders) ? rawHeaders : (raw as { [PASS]?: Pass });
}

/** The passes of requests that can't hold one, because they are frozen. */
const apart = new WeakMap<object, Pass>();

function passOf(raw: object): Pass | undefined {
  const holder = holderOf(raw);
  return holder[PASS] ?? (Object.isExtensible(holder) ? undefined : apart.get(holder));
}

/**
 * What the limiters of one request have in common. It lasts until the request is answered: what comes with the same
 * `raw` after that is another request.
 */
export class Pass implements Reservation {
  takings: readonly Taking[] = NOTHING;
  readonly #request: HttpRequest;
  readonly #report: ReportSettlement;
  #guards: readonly object[] = NOTHING;

  constructor(request: HttpRequest, report: ReportSettlement) {
    this.#request = request;
    this.#report = report;
  }

  /** The pass of a request, which it gets when it has none; `guard` is going to decide about it. */
  static of(request: HttpRequest, guard: object, report: ReportSettlement): Pass {
    const raw = request.raw as object;
    const known = passOf(raw);
    if (known !== undefined && !known.#isOver(request, guard)) return known;
    const pass = new Pass(request, report);
    const holder = holderOf(raw);
    if (Object.isExtensible(holder)) holder[PASS] = pass;
    else apart.set(holder, pass);
    return pass;
  }

  /** Whether the request was answered. Where an adapter can't tell, each check by one guard is another request. */
  #isOver({ isAnswered }: HttpRequest, guard: object): boolean {
    if (this.isDenied || this.#request.isAnswered === true) return true;
    return isAnswered === undefined && this.#guards.includes(guard);
  }

  /** Brings the request before a guard; returns whether for the first time. */
  enter(guard: object): boolean {
    if (this.#guards.includes(guard)) return false;
    this.#guards = this.#guards.length === 0 ? [guard] : [...this.#guards, guard];
    return true;
  }

  /** To a list that is made anew, which for the usual one limiter is cheaper than one that can grow. */
  add(taking: Taking): void {
    this.takings = this.takings.length === 0 ? [taking] : [...this.takings, taking];
  }

  /** Whether a limiter of the request has denied it. */
  get isDenied(): boolean {
    return this.takings.some(({ admitted }) => !admitted);
  }

  get decisions() {
    return this.takings.map(({ taker, decision }) => ({ limiter: taker.name, decision }));
  }

  adjust(delta: number, limiter?: string): Promise<void> {
    checkCount("delta", delta, Number.MIN_SAFE_INTEGER);
    if (limiter === undefined && this.takings.length > 1) {
      const names = this.takings.map(({ taker }) => taker.name).join(", ");
      throw new TrypemaError("INVALID_OPTION", `adjust: this request has several limiters, name one: ${names}`);
    }
    const meant = this.takings.filter(({ taker }) => limiter === undefined || taker.name === limiter);
    return this.#settle(meant, (taking) => taking.adjust(delta));
  }

  /** Gives back what these, or all, took; never rejects. */
  giveBack(takings: readonly Taking[] = this.takings): Promise<void> {
    return this.#settle(takings, (taking) => taking.giveBack());
  }

  async #settle(takings: readonly Taking[], settle: (taking: Taking) => unknown): Promise<void> {
    const settleOne = async (taking: Taking) => {
      try {
        await settle(taking);
      } catch (error) {
        this.#report(error, taking.taker.name);
      }
    };
    await Promise.all(takings.map(settleOne));
  }
}

/**
 * What a request has taken, to correct it afterwards.
 *
 * @param raw what the framework gives its handlers: the request of Express, Fastify, node:http and fetch handlers,
 *   the context of Hono and Koa
 * @throws {TrypemaError} `INVALID_OPTION` when no limiter has seen the request
 */
export function reservationOf(raw: object): Reservation {
  const pass = passOf(raw);
  if (pass !== undefined) return pass;
  throw new TrypemaError("INVALID_OPTION", `reservationOf: got ${show(raw)} that no limiter has seen`);
}
