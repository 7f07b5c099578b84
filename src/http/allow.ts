// Whom a limiter lets pass without limiting: a list of addresses and networks.

import { show, TrypemaError } from "../core/errors.ts";
import { clientOf, clientSourceOf } from "./client-address.ts";
import { checkedNetworks } from "./proxies.ts";
import type { HttpRequest } from "./request.ts";

const ALLOW = {
  name: "allow",
  orElse: "a function in place of the array",
  notEverybody: "nobody would be limited",
};

/**
 * Whether a request is from an address of the list. That is the whole address that the key is made of, so a client
 * can't choose it.
 *
 * @param allow the option; undefined is returned for a function, which decides by itself
 * @param key of the limiter
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function allowListOf(allow: unknown, key: object): ((request: HttpRequest) => boolean) | undefined {
  if (allow === undefined || typeof allow === "function") return undefined;
  if (!Array.isArray(allow)) {
    const array = typeof allow === "string" ? `[${show(allow)}]` : '["10.0.0.0/8"]';
    throw new TrypemaError(
      "INVALID_OPTION",
      `allow: got ${show(allow)}, expected an array such as ${array}, or a function`,
    );
  }
  const { haveUnix, contain } = checkedNetworks(allow, ALLOW);
  const source = clientSourceOf(key);
  if (source === undefined) {
    throw new TrypemaError(
      "INVALID_OPTION",
      "allow: got a list, but the limiter's key isn't made of clientAddress(), so it isn't known which proxies to " +
        "trust; give the limiter a key that is made with clientAddress(), or a function in place of the list",
    );
  }
  return (request) => {
    const client = clientOf(source, request);
    return client === "unix" ? haveUnix : client !== undefined && contain(client);
  };
}
