// The keys of requests, and the form in which they are stored. Keys of two limiters, and keys of two kinds, are never
// stored under the same name.

import { show, TrypemaError } from "../core/errors.ts";
import { sha256Of } from "../core/hash.ts";
import { checkOptions } from "../core/options.ts";
import type { Awaitable } from "../core/types.ts";
import { chain } from "./awaitable.ts";
import { checkedHeaderName, clientSourceOf, setClientSource } from "./client-address.ts";
import type { HttpRequest } from "./request.ts";

/**
 * Returns who or what a request counts for: a text, or a finite number or a bigint, which becomes its digits.
 * Undefined, null or an empty text mean that the request has no key. Any other value is an error of the request.
 */
export type Key<Raw = unknown> = (request: HttpRequest<Raw>) => Awaitable<string | number | bigint | undefined | null>;

/** What a key function has found. */
export type FoundKey = Awaited<ReturnType<Key>>;

/**
 * What happens to a request whose key can't be found: it is answered with 400, or passes without being counted, or
 * counts for a key that all such requests share.
 */
export type MissingKeyPolicy = "reject" | "skip" | { readonly shared: string };

/** How a header becomes a key; of {@link requestHeader}. */
export interface RequestHeaderOptions {
  /** Stores the SHA-256 of the value and not the value, for secrets such as API keys. Default false. */
  readonly hash?: boolean;
}

/** Longer keys are kept as their hash: a name and so many characters are never more than the 255 bytes of a key. */
const LONGEST_PLAIN = 60;

/** How the key begins that all requests without a key share. */
const SHARED = "!";

/** How the hash of a text begins that isn't Unicode. */
const MARK = "~";

/**
 * A key: the value of a header. A client may send any value, so check the value before the limiter, or let another
 * limiter count by address.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function requestHeader(name: string, options: RequestHeaderOptions = {}): Key {
  const headerName = checkedHeaderName(name);
  checkOptions("requestHeader", options, ["hash"]);
  if (options.hash !== true) return (request) => request.header(headerName);
  return (request) => {
    const value = request.header(headerName);
    return value ? hashOf(value) : undefined;
  };
}

/**
 * A key that is made of several keys, such as an address and a login. If one of them is missing, the request has no
 * key. Different parts never make the same key.
 */
export function combined<Raw>(...keys: readonly Key<NoInfer<Raw>>[]): Key<Raw>;
export function combined<Raw>(...keys: readonly Key<Raw>[]): Key<Raw>;
export function combined<Raw>(...keys: readonly Key<Raw>[]): Key<Raw> {
  if (keys.length === 0 || !keys.every((key) => typeof key === "function")) {
    throw new TrypemaError("INVALID_OPTION", `combined: got ${show(keys)}, expected keys`);
  }
  const from = (index: number, request: HttpRequest<Raw>, parts: string): Awaitable<string | undefined> => {
    const key = keys[index];
    if (key === undefined) return parts;
    return chain(key(request), (found) => {
      // What is no key is refused by the limiter, which names itself in the error.
      if (!isKey(found)) return found as undefined;
      const part = textOfKey(found);
      if (part === undefined) return undefined;
      // A client may send 16 000 characters to escape, for which replace takes four times as long as split and join.
      const escaped = part.split("\\").join("\\\\").split("|").join("\\|");
      return from(index + 1, request, index === 0 ? escaped : `${parts}|${escaped}`);
    });
  };
  const key: Key<Raw> = (request) => from(0, request, "");
  setClientSource(
    key,
    keys.map(clientSourceOf).find((source) => source !== undefined),
  );
  return key;
}

/**
 * The text of what a key function returned; undefined when it found none.
 *
 * @param limiter the limiter that has the function
 * @throws {TrypemaError} `INVALID_KEY` when it is no key
 */
export function textOfKey(found: FoundKey, limiter?: string): string | undefined {
  if (typeof found === "string") return found === "" ? undefined : found;
  if (found === undefined || found === null) return undefined;
  if (isKey(found)) return `${found}`;
  throw new TrypemaError(
    "INVALID_KEY",
    `${limiter === undefined ? "" : `${limiter}.`}key: got ${show(found)}, ` +
      "expected a text, a finite number or a bigint, or undefined for no key",
  );
}

/** Whether it is a key, or says that there is none. */
function isKey(found: unknown): boolean {
  if (found === undefined || found === null) return true;
  return typeof found === "string" || typeof found === "bigint" || Number.isFinite(found);
}

/**
 * The key that a provider gets: 1 to 255 bytes of Unicode whatever `key` is. No two keys make the same one: a hash has
 * 64 characters or more, which is more than a plain key has, and a plain key never begins as a shared one does.
 *
 * @param prefix of this limiter, where several limiters count in one place
 */
export function storedKey(prefix: string, key: string): Awaitable<string> {
  if (key.length <= LONGEST_PLAIN && !key.startsWith(SHARED) && key.isWellFormed()) return `${prefix}${key}`;
  return chain(hashOf(key), (hash) => `${prefix}${hash}`);
}

/**
 * The key that a limiter stores for a client, for the limiter's methods `get`, `block` and `delete`. `createLimits`
 * gives the limiter: it has the counts of the HTTP limiter of the same name, window and strategy.
 *
 * `createLimits(provider, { login }).limiter("login").block(await derivedKey("ann"), hours(1))`
 *
 * @param key what the limiter's `key` returns, or the `shared` of `onMissingKey`
 * @param options the options of {@link requestHeader}, if it makes the key: with `hash`, `key` is the value of the
 *   header
 * @throws {TrypemaError} as a rejection: `INVALID_KEY`, `INVALID_OPTION`
 */
export async function derivedKey(
  key: string | number | bigint | { readonly shared: string },
  options: RequestHeaderOptions = {},
): Promise<string> {
  checkOptions("derivedKey", options, ["hash"]);
  if (typeof key === "object" && key !== null) {
    checkMissingKeyPolicy(key);
    return storedSharedKey("", key.shared);
  }
  const text = textOfKey(key);
  if (text === undefined) throw new TrypemaError("INVALID_KEY", `key: got ${show(key)}, expected a key`);
  return storedKey("", options.hash === true ? await hashOf(text) : text);
}

/** The key that all requests without a key share. It is never the stored key of another request. */
export function storedSharedKey(prefix: string, shared: string): string {
  return `${prefix}${SHARED}${shared}`;
}

/** @throws {TrypemaError} `INVALID_OPTION` */
export function checkMissingKeyPolicy(policy: MissingKeyPolicy): void {
  if (policy === "reject" || policy === "skip") return;
  const shared: unknown = typeof policy === "object" && policy !== null ? policy.shared : undefined;
  if (typeof shared === "string" && /^[\x20-\x7e]{1,60}$/.test(shared)) return;
  throw new TrypemaError(
    "INVALID_OPTION",
    `onMissingKey: got ${show(policy)}, expected "reject", "skip" or { shared: "a name of 1 to 60 ASCII characters" }`,
  );
}

/**
 * SHA-256 in hexadecimal. A text with a lone surrogate has no UTF-8 form of its own, so the JSON form is hashed, which
 * differs for two such texts. Another key may be that JSON text itself, so such a hash begins with the mark.
 */
function hashOf(text: string): Promise<string> {
  return text.isWellFormed() ? sha256Of(text) : sha256Of(JSON.stringify(text)).then((hash) => `${MARK}${hash}`);
}
