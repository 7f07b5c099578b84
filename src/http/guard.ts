// The limiters of a route together: what they decide, and what the client is told. A guard knows requests and answers,
// and no framework: adapters translate.

import { show, TrypemaError } from "../core/errors.ts";
import { type Family, familyOf } from "../core/family.ts";
import { integerOption } from "../core/options.ts";
import type { Awaitable } from "../core/types.ts";
import { type Answer, answerTo, headOf } from "./answer.ts";
import { isPromise } from "./awaitable.ts";
import type { Charge } from "./charge.ts";
import { Consultation } from "./consultation.ts";
import { type Denial, denialOf } from "./denial.ts";
import { exposureOf, type Fields, type Serialiser, serialiserOf } from "./headers.ts";
import { HttpLimiter } from "./limiter.ts";
import { checkedOnNotice, Notices } from "./notices.ts";
import { checkGuardOptions, checkNames, definitionsOf, type GuardOptions, type RateLimitOptions } from "./options.ts";
import { Reporter } from "./reporter.ts";
import { AdapterRequest, ForeignRequest, type HttpRequest, type HttpResponse } from "./request.ts";
import { Ledger } from "./reservation.ts";

/** What an adapter has to do with a request. */
export interface Verdict {
  /** The answer to a denied request; undefined when the request may go on. */
  readonly answer: Answer | undefined;
  /** Why a denied request is denied, for the option `handler`; undefined when the request may go on. */
  readonly denial: Denial | undefined;
  /**
   * Header fields for the response of the handler. Read them late, because later limiters add to them. Add
   * `access-control-expose-headers` to the same field of the response, and set all other fields.
   */
  readonly fields: Fields;
  /**
   * Present when it matters how the request ends. Call it with the response when the response has been sent. Don't call
   * it if the connection ends before that.
   */
  readonly settle: ((response: HttpResponse) => void) | undefined;
}

const NO_FIELDS: Fields = [];

/**
 * Decides about the requests of an adapter. The adapter sends the answer of the verdict, or it calls the handler and
 * then calls `settle`.
 */
export class Guard<Raw> {
  readonly #limiters: readonly HttpLimiter<Raw>[];
  readonly #family: Family | undefined;
  readonly #serialise: Serialiser | undefined;
  readonly #exposure: Fields;
  readonly #options: GuardOptions<Raw, unknown>;
  readonly #reporter: Reporter<Raw>;
  readonly #status: number;
  readonly #settles: boolean;
  readonly #observed: boolean;
  readonly #fieldsOf = (ledger: Ledger): Fields => {
    const fields = this.#rateLimitFields(ledger);
    return this.#exposure.length === 0 ? fields : [...fields, ...this.#exposure];
  };
  readonly #reportSettlement = (error: unknown, limiter: string) => this.#reporter.report(error, "settlement", limiter);

  /**
   * Takes the options that users give to your adapter. If they have a `handler`, answers have no body, because the
   * adapter calls the handler to make the body.
   *
   * @throws {TrypemaError} `INVALID_OPTION`, `INVALID_RATE`, `INVALID_COUNT`, `CAPACITY_BELOW_ONE`
   */
  constructor(options: RateLimitOptions<Raw, unknown>) {
    checkGuardOptions(options);
    this.#options = options;
    this.#reporter = new Reporter(options);
    this.#status = integerOption("status", options.status, 429, 400, 599);
    const { exposeHeaders = false, headers = "draft-10", hideRemaining = false } = options;
    checkBoolean("exposeHeaders", exposeHeaders);
    checkBoolean("hideRemaining", hideRemaining);
    this.#serialise = serialiserOf(headers);
    this.#exposure = exposeHeaders ? exposureOf({ headers, hideRemaining }) : NO_FIELDS;
    const definitions = definitionsOf(options);
    const onNotice = checkedOnNotice(options.onNotice);
    this.#limiters = definitions.map((definition) => {
      const { name = "default" } = definition;
      const notices = new Notices(name, onNotice, (error) => this.#reporter.report(error, "callback", name));
      return new HttpLimiter(definition, options.provider, notices, hideRemaining);
    });
    checkNames(this.#limiters);
    this.#family = familyOf(options.provider);
    this.#settles = definitions.some(({ uncounted }) => uncounted !== undefined);
    this.#observed = options.metrics !== undefined || definitions.some(({ onDecision }) => onDecision !== undefined);
  }

  /** @internal */
  get limiterNames(): readonly string[] {
    return this.#limiters.map(({ name }) => name);
  }

  /**
   * Asks all limiters about a request, in one step. Returns a value, or a promise if a provider or a callback had to be
   * waited for. If a callback throws, `check` throws the same error, or its promise rejects with it, and nothing is
   * counted.
   *
   * @throws {TrypemaError} `INVALID_OPTION` unless the request's `raw` is an object
   */
  check(request: HttpRequest<Raw>): Awaitable<Verdict> {
    const own = request instanceof AdapterRequest ? request : new ForeignRequest(request);
    const ledger = Ledger.openFor(own, this, this.#reportSettlement);
    if (ledger.addGuard(this)) {
      return this.#limiters.length === 1
        ? this.#askOne(this.#limiters[0]!, own, ledger)
        : this.#askSeveral(own, ledger);
    }
    this.#limiters[0]!.notices.tell(
      "MET_TWICE",
      "it got a request that it had already counted, and did not count it again; mount it only once for each request",
    );
    return new AdmittedVerdict(ledger, this.#fieldsOf, undefined);
  }

  /**
   * For an adapter that has no way to tell the peer's address.
   *
   * @param advice what the user should do
   * @throws {TrypemaError} `INVALID_OPTION` when a limiter needs that address for its key: it would deny every request
   */
  requireKeysOfTheirOwn(advice: string): void {
    const limiter = this.#limiters.find(({ needsPeer }) => needsPeer);
    if (limiter === undefined) return;
    throw new TrypemaError(
      "INVALID_OPTION",
      `limiter ${show(limiter.name)}: the peer's address isn't known; ${advice}`,
    );
  }

  /** Reports a failure that no answer to a request shows. Never throws. */
  reportCallback(error: unknown): void {
    this.#reporter.report(error, "callback", this.#limiters[0]!.name);
  }

  /** Asks the only limiter. The usual case is apart, because it needs no lists of asks and decisions. */
  #askOne(limiter: HttpLimiter<Raw>, request: HttpRequest<Raw>, ledger: Ledger): Awaitable<Verdict> {
    const startMs = this.#observed ? performance.now() : 0;
    let charge: Awaitable<Charge | undefined>;
    try {
      charge = limiter.decide(request);
    } catch (error) {
      return this.#fail(limiter, ledger, error);
    }
    if (!isPromise(charge)) {
      return this.#conclude(this.#keep(charge, limiter, request, ledger, startMs), request, ledger);
    }
    return charge.then(
      (made) => this.#conclude(this.#keep(made, limiter, request, ledger, startMs), request, ledger),
      (error) => this.#fail(limiter, ledger, error),
    );
  }

  #askSeveral(request: HttpRequest<Raw>, ledger: Ledger): Awaitable<Verdict> {
    const startMs = this.#observed ? performance.now() : 0;
    const consultation = new Consultation(this.#limiters, this.#family, request, (charge, limiter) =>
      this.#keep(charge, limiter, request, ledger, startMs),
    );
    let denied: Awaitable<boolean>;
    try {
      denied = consultation.decide();
    } catch (error) {
      return this.#fail(consultation.current, ledger, error);
    }
    if (!isPromise(denied)) return this.#conclude(denied, request, ledger);
    return denied.then(
      (isDenied) => this.#conclude(isDenied, request, ledger),
      (error) => this.#fail(consultation.current, ledger, error),
    );
  }

  #conclude(isDenied: boolean, request: HttpRequest<Raw>, ledger: Ledger): Awaitable<Verdict> {
    if (isDenied) return this.#deny(request, ledger);
    return new AdmittedVerdict(ledger, this.#fieldsOf, this.#settlement(request, ledger));
  }

  /**
   * Keeps a charge with the request and reports it, or that the limiter skipped the request. Returns whether the charge
   * denies the request.
   */
  #keep(
    charge: Charge | undefined,
    limiter: HttpLimiter<Raw>,
    request: HttpRequest<Raw>,
    ledger: Ledger,
    startMs: number,
  ): boolean {
    if (charge !== undefined) ledger.addCharge(charge);
    if (charge?.error !== undefined) this.#reporter.report(charge.error, "backend", limiter.name);
    if (this.#observed) this.#reporter.observe(charge, limiter, request, performance.now() - startMs);
    return charge !== undefined && !charge.admitted;
  }

  async #fail(limiter: HttpLimiter<Raw>, ledger: Ledger, error: unknown): Promise<never> {
    this.#reporter.count("callback", limiter.name);
    await ledger.giveBackUnserved();
    throw error;
  }

  async #deny(request: HttpRequest<Raw>, ledger: Ledger): Promise<Verdict> {
    const fields = this.#fieldsOf(ledger);
    const denial = denialOf(
      ledger.charges.filter(({ admitted }) => !admitted),
      this.#status,
    );
    await ledger.giveBackUnserved();
    const { respond, handler } = this.#options;
    const report = (error: unknown) => this.#reporter.report(error, "callback", denial.limiter);
    const answer =
      handler === undefined ? await answerTo(denial, fields, request, respond, report) : headOf(denial, fields);
    return { answer, denial, fields: NO_FIELDS, settle: undefined };
  }

  /** What the client is told about all limiters that have decided about the request. */
  #rateLimitFields(ledger: Ledger): Fields {
    if (this.#serialise === undefined) return NO_FIELDS;
    const { charges, isDenied } = ledger;
    const first = charges[0];
    if (charges.length === 1 && first!.isVisible) return this.#serialise([first!.serviceLimit(isDenied)]);
    const limits = charges.filter(({ isVisible }) => isVisible).map((charge) => charge.serviceLimit(isDenied));
    return limits.length === 0 ? NO_FIELDS : this.#serialise(limits);
  }

  #settlement(request: HttpRequest<Raw>, ledger: Ledger): Verdict["settle"] {
    if (!this.#settles) return undefined;
    return (response) => {
      for (const limiter of this.#limiters) {
        const charge = ledger.charges.find((made) => made.limiter === limiter);
        if (charge === undefined) continue;
        const { uncounted } = limiter.definition;
        const isUncounted = () =>
          typeof uncounted === "function"
            ? uncounted(response, request)
            : uncounted === (response.status < 400 ? "successful" : "failed");
        void this.#settle(limiter.name, charge, ledger, isUncounted);
      }
    };
  }

  async #settle(limiter: string, charge: Charge, ledger: Ledger, isUncounted: () => Awaitable<boolean>): Promise<void> {
    try {
      if (await isUncounted()) await ledger.giveBack([charge]);
    } catch (error) {
      this.#reporter.report(error, "callback", limiter);
    }
  }
}

function checkBoolean(option: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw new TrypemaError("INVALID_OPTION", `${option}: got ${show(value)}, expected true or false`);
}

/** Lets a request go on. */
class AdmittedVerdict implements Verdict {
  readonly answer = undefined;
  readonly denial = undefined;
  readonly settle: Verdict["settle"];
  readonly #ledger: Ledger;
  readonly #fieldsOf: (ledger: Ledger) => Fields;

  constructor(ledger: Ledger, fieldsOf: (ledger: Ledger) => Fields, settle: Verdict["settle"]) {
    this.#ledger = ledger;
    this.#fieldsOf = fieldsOf;
    this.settle = settle;
  }

  get fields(): Fields {
    return this.#fieldsOf(this.#ledger);
  }
}
