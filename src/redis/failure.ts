// Turns whatever a client fails with into an error of this package. The code says whether Redis or one key is to blame.

import { messageOf, TrypemaError, type TrypemaErrorCode } from "../core/errors.ts";
import type { Watch } from "../core/watch.ts";
import { RewordedError } from "./clients/connection.ts";
import type { FailurePolicy } from "./parts.ts";

export function timeoutError(timeoutMs: number): TrypemaError {
  return new TrypemaError("BACKEND_TIMEOUT", `Redis did not answer within ${timeoutMs} ms`);
}

export function failureOf(error: unknown): TrypemaError {
  const message = messageOf(error);
  return new TrypemaError(codeOf(message), `Redis: ${message}`, { cause: RewordedError.clientsErrorOf(error) });
}

/**
 * An error inside a script names the script: before Redis 7 at the start of the message, since then at its end, which
 * Valkey 9.1 shortened to `script: on @user_script:1.` The text of a key can be at neither place, so no key can imitate
 * such an error.
 */
const OF_SCRIPT =
  /^ERR (Error running script \(call to f_[0-9a-f]+\): |.* script: ([0-9a-f]{40}, )?on @user_script:\d+\.?$)/;
/**
 * Errors inside a script that are about the server and not about the key. The server refuses to write, and before Redis
 * 7 quotes that error with its hyphen; the user lacks a right; a command was renamed or the server is too old for it; a
 * library is missing; the key's slot is being moved.
 */
const OF_SERVER =
  / -[A-Z]+ |can't (run|access)|ACL failure|command (is )?(called|not allowed) from|syntax error|attempted to access/i;

/**
 * A script that fails on what one key holds must not open the breaker, because other keys are well. A script that would
 * fail for every key means that the backend is out.
 */
function codeOf(message: string): TrypemaErrorCode {
  const ofKey = /^WRONGTYPE\b/.test(message) || (OF_SCRIPT.test(message) && !OF_SERVER.test(message));
  return ofKey ? "BACKEND_SCRIPT" : "BACKEND_UNAVAILABLE";
}

/**
 * Applies the failure policy to a call that failed with `error`. Counts the failure with the watch, which also warns of
 * the first decisions of a policy. Returns the policy that has to decide.
 *
 * @throws `error` itself if the policy leaves it to the caller, or if it isn't about Redis
 */
export function applyPolicy(error: unknown, policy: FailurePolicy, watch: Watch): Exclude<FailurePolicy, "throw"> {
  if (!isBackendFailure(error)) throw error;
  if (policy === "throw") {
    watch.counts.failed++;
    throw error;
  }
  watch.noteDegraded(policy, error.code);
  return policy;
}

/**
 * With these codes a server refuses a script as a whole: it isn't there yet, another one has the key, or it takes no
 * writes. And what the breaker refuses is never sent.
 */
const REFUSAL =
  /^Redis( failed at least|: (BUSY|CLUSTERDOWN|LOADING|MASTERDOWN|MISCONF|NOAUTH|NOPERM|NOREPLICAS|OOM|READONLY|TRYAGAIN)) /;

/** Whether a failure says that nothing was counted. After any other one a call may have been counted. */
export function isRefusal(error: TrypemaError): boolean {
  return REFUSAL.test(error.message);
}

export function isBackendFailure(error: unknown): error is TrypemaError {
  return error instanceof TrypemaError && error.code.startsWith("BACKEND");
}
