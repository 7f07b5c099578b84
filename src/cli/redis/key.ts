// The key that a command is about, as it is stored or as a limit for HTTP knows it.

import { checkKey } from "../../core/key.ts";
import { nameOf, parsePeer } from "../../http/address.ts";
import { derivedKey } from "../../http/keys.ts";
import { choice, type OptionTypes, UsageError } from "../command.ts";
import { printable } from "../text.ts";
import { bitsFrom } from "../units.ts";

export const KEY_OPTIONS = {
  http: { type: "string" },
  "ipv6-prefix": { type: "string" },
} as const satisfies OptionTypes;

export const KEY_HELP = `  --http KIND        KEY is what a limit for HTTP knows, and not the stored key:
                     address  of a client
                     key      what your function "key" returns, such as a user
                     header   the value of requestHeader with hash: true
                     shared   the name that onMissingKey gives
  --ipv6-prefix BITS how many bits of an IPv6 address make a client; default 64`;

const KINDS = ["address", "key", "header", "shared"] as const;

/** The stored key. @throws {UsageError} */
export async function keyFrom(
  given: string,
  { http, "ipv6-prefix": bits = "64" }: Readonly<Record<string, string | boolean | undefined>> = {},
): Promise<string> {
  if (given === "") throw new UsageError("name a key");
  try {
    const key = http === undefined ? given : await storedKeyOf(given, `${http}`, bitsFrom("--ipv6-prefix", `${bits}`));
    checkKey(key);
    return key;
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(printable((error as Error).message));
  }
}

/** The key that a limit for HTTP stores. */
function storedKeyOf(given: string, kind: string, ipv6Bits: number): Promise<string> {
  switch (choice("http", kind, KINDS)) {
    case "address":
      return derivedKey(clientOf(given, ipv6Bits));
    case "key":
      return derivedKey(given);
    case "header":
      return derivedKey(given, { hash: true });
    case "shared":
      return derivedKey({ shared: given });
  }
}

/** @throws {UsageError} */
function clientOf(given: string, ipv6Bits: number): string {
  const address = parsePeer(given);
  if (address !== undefined) return nameOf(address, ipv6Bits);
  throw new UsageError(`${printable(given)}: expected an IP address, because of --http address`);
}
