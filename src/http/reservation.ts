// What all limiters of a request took together, kept with the request, so that handlers can correct it and a limiter
// further on can give it back.

import { show, TrypemaError } from "../core/errors.ts";
import type { Decision } from "../core/types.ts";
import { checkCount } from "../strategy/history.ts";
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

const NOTHING: readonly Taking[] = [];
const PASS = Symbol("trypema.pass");

/**
 * Where the pass of a request is kept. That is the request itself, or the list of its raw header lines where it is a
 * message of node:http: a property more makes those of Express slow, by as much as thirty limiters. A WeakMap costs
 * twice what a limiter does.
 */
function holderOf(raw: object): { [PASS]?: Pass } {
  const { rawHeaders } = raw as { rawHeaders?: { [PASS]?: Pass } };
  return Array.isArray(rawHeaders) ? rawHeaders : (raw as { [PASS]?: Pass });
}

export class Pass implements Reservation {
  takings: readonly Taking[] = NOTHING;
  readonly #report: ReportSettlement;

  constructor(report: ReportSettlement) {
    this.#report = report;
  }

  /** The one of a request, which it gets when it has none. */
  static of(raw: object, report: ReportSettlement): Pass {
    const holder = holderOf(raw);
    holder[PASS] ??= new Pass(report);
    return holder[PASS];
  }

  /** To a list that is made anew, which for the usual one limiter is cheaper than one that can grow. */
  add(taking: Taking): void {
    this.takings = this.takings.length === 0 ? [taking] : [...this.takings, taking];
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
  const pass = holderOf(raw)[PASS];
  if (pass !== undefined) return pass;
  throw new TrypemaError("INVALID_OPTION", `reservationOf: got ${show(raw)} that no limiter has seen`);
}
