// Misuse that would pass in silence, told to whoever runs the program: a limit that counts wrongly looks like one that
// works. A notice never changes a decision.

import { show, TrypemaError, withHelp } from "../core/errors.ts";
import { warn } from "../core/warning.ts";
import { isPromise } from "./awaitable.ts";

/**
 * What a notice is about; codes are stable, messages may change.
 * - `"MET_TWICE"`: a limiter got a request that it had already counted, and did not count it again
 * - `"NAME_SHARED"`: two limiters have the same name and store, so they count together, but at different rates
 * - `"PROXY_UNNAMED"`: a proxy seems to be in front, but the limiter takes the peer for the client
 * - `"PROXIES_MISSING"`: the header has fewer addresses than `proxies` says
 * - `"PEER_UNKNOWN"`: requests have no key, because the peer's address isn't known
 * - `"KEY_MISSING"`: a key function has found no key in any of the first requests
 * - `"IPV6_WHOLE"`: a key function returned a whole IPv6 address; a client usually has very many of them
 * - `"BACKEND_AWAY"`: the provider fails, and `onBackendFailure` decides about requests; once for each outage
 * - `"BACKEND_BACK"`: the provider decides again, and has not failed for five seconds
 */
export type NoticeCode =
  | "MET_TWICE"
  | "NAME_SHARED"
  | "PROXY_UNNAMED"
  | "PROXIES_MISSING"
  | "PEER_UNKNOWN"
  | "KEY_MISSING"
  | "IPV6_WHOLE"
  | "BACKEND_AWAY"
  | "BACKEND_BACK";

/** A mistake that a limiter has noticed. */
export interface Notice {
  /** What the notice is about, as a stable code for programs. */
  readonly code: NoticeCode;
  /** The name of the limiter that noticed it. */
  readonly limiter: string;
  /** What was noticed, how to correct it, and the address of the section about its code. */
  readonly message: string;
}

/**
 * Called with each notice once for each limiter, or once for each outage of the backend; false: no notices. By default
 * a notice is a warning of the process where there is one (`process.emitWarning`), else `console.warn` writes it.
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
