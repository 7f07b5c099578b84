// Misuse that would pass in silence, told to whoever runs the program: a limit that counts wrongly looks like one that
// works. A notice never changes a decision.

import { show, TrypemaError, withHelp } from "../core/errors.ts";
import { warn } from "../core/warning.ts";
import { isPromise } from "./awaitable.ts";

/**
 * What a notice is about; codes are stable, messages may be reworded.
 * - `"MET_TWICE"`: a limiter met a request that it had counted already, and counted nothing more
 * - `"NAME_SHARED"`: two limiters in use have one name and one store, so they count together, at different rates
 * - `"PROXY_UNNAMED"`: a proxy seems to be in front, but the limiter takes the peer for the client
 * - `"PROXIES_MISSING"`: fewer proxies wrote into the header than were counted
 * - `"PEER_UNKNOWN"`: requests have no key, because the peer's address isn't known
 * - `"IPV6_WHOLE"`: a key function returned a whole IPv6 address, of which a client has as many as it likes
 * - `"BACKEND_AWAY"`: the provider fails, and `onBackendFailure` decides about requests; once for each outage
 * - `"BACKEND_BACK"`: the provider decides again, and has for five seconds
 */
export type NoticeCode =
  | "MET_TWICE"
  | "NAME_SHARED"
  | "PROXY_UNNAMED"
  | "PROXIES_MISSING"
  | "PEER_UNKNOWN"
  | "IPV6_WHOLE"
  | "BACKEND_AWAY"
  | "BACKEND_BACK";

/** Misuse that a limiter has noticed. */
export interface Notice {
  /** What it is about, for programs. */
  readonly code: NoticeCode;
  /** The name of the limiter that noticed it. */
  readonly limiter: string;
  /** What was noticed, how to correct it, and the address of the section about its code. */
  readonly message: string;
}

/**
 * Told of each notice once per limiter, or once per outage of the backend; false for none. By default a notice is a
 * warning of the process where there is one (`process.emitWarning`), else `console.warn` writes it.
 */
export type OnNotice = false | ((notice: Notice) => unknown);

/** The notices of one limiter. */
export class Notices {
  readonly #limiter: string;
  readonly #onNotice: OnNotice;
  readonly #reportCallback: (error: unknown) => void;
  readonly #told = new Set<NoticeCode>();

  /** @param reportCallback told of what `onNotice` throws or rejects with; never throws itself */
  constructor(limiter: string, onNotice: OnNotice, reportCallback: (error: unknown) => void) {
    this.#limiter = limiter;
    this.#onNotice = onNotice;
    this.#reportCallback = reportCallback;
  }

  /** Tells of a code once, however often it is called; never throws. */
  tell(code: NoticeCode, message: string): void {
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.tellAgain(code, message);
  }

  /** Tells of a code, whether or not it was told before; never throws. */
  tellAgain(code: NoticeCode, message: string): void {
    if (this.#onNotice === false) return;
    try {
      const told = this.#onNotice({ code, limiter: this.#limiter, message: withHelp(message, code) });
      if (isPromise(told)) told.then(undefined, this.#reportCallback);
    } catch (error) {
      this.#reportCallback(error);
    }
  }
}

/** @throws {TrypemaError} `INVALID_OPTION` */
export function checkedOnNotice(onNotice: OnNotice | undefined): OnNotice {
  if (onNotice === undefined) return warnOfNotice;
  if (onNotice === false || typeof onNotice === "function") return onNotice;
  throw new TrypemaError("INVALID_OPTION", `onNotice: got ${show(onNotice)}, expected a function or false`);
}

function warnOfNotice({ code, limiter, message }: Notice): void {
  warn(code, `limiter ${show(limiter)}: ${message}`);
}
