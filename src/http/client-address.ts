// Which client a request comes from. What a client can write itself is believed only when it comes through a proxy
// that was named as trusted.

import { show, TrypemaError } from "../core/errors.ts";
import { checkOptions, integerOption } from "../core/options.ts";
import { type Address, contains, isPlainIpv4, type Network, nameOf, parseAddress, parseNetwork } from "./address.ts";
import type { HttpRequest } from "./request.ts";

/** Whom to believe about the client's address; of {@link clientAddress}. */
export interface ClientAddressOptions {
  /**
   * The proxies that are believed, as addresses and networks (`"10.0.0.0/8"`, `"2001:db8::/32"`), and `"unix"` for
   * whoever connects by a unix socket. Default none: the client is the peer, whatever headers say.
   */
  readonly proxies?: readonly string[];
  /**
   * Where those proxies say who the client is. `"x-forwarded-for"` (the default) and `"forwarded"` (RFC 7239) are
   * lists, walked from the right up to the first address that is no proxy's. Any other header, such as
   * `"cf-connecting-ip"`, has one address.
   */
  readonly header?: string;
  /** How many bits of an IPv6 address make a client, 1 to 128. Default 64: who has one address usually has its /64. */
  readonly ipv6PrefixBits?: number;
}

const PLAIN_IPV4_MAPPED = "::ffff:";
/** More hops than that nobody has; it bounds what a header can cost. */
const MAX_HOPS = 32;

/**
 * A key: the address of the client. There is none when the peer's address isn't known, or when a trusted proxy
 * doesn't say who the client is or says something that isn't an address.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function clientAddress(options: ClientAddressOptions = {}): (request: HttpRequest) => string | undefined {
  checkOptions("clientAddress", options, ["proxies", "header", "ipv6PrefixBits"]);
  const { proxies = [], header = "x-forwarded-for" } = options;
  const ipv6Bits = integerOption("ipv6PrefixBits", options.ipv6PrefixBits, 64, 1, 128);
  const networks = proxies.filter((proxy) => proxy !== "unix").map(checkedNetwork);
  const trustsUnix = proxies.includes("unix");
  const headerName = checkedHeaderName(header);
  const isProxy = (address: Address) => networks.some((network) => contains(network, address));
  const stated = headerName === "x-forwarded-for" || headerName === "forwarded" ? lastUntrusted : onlyAddress;
  const readsElement = headerName === "forwarded" ? forwardedFor : (text: string) => text;

  const peerName = ({ peerAddress }: HttpRequest) => (peerAddress === undefined ? undefined : plainName(peerAddress));
  if (proxies.length === 0) return (request) => peerName(request) ?? nameOfText(request.peerAddress, ipv6Bits);
  return (request) => {
    const { peerAddress } = request;
    if (peerAddress === undefined) return undefined;
    const peer = peerAddress === "unix" ? undefined : parseAddress(peerAddress);
    if (peer === undefined ? !(trustsUnix && peerAddress === "unix") : !isProxy(peer)) {
      return peer && nameOf(peer, ipv6Bits);
    }
    const value = request.header(headerName);
    const client = value === undefined ? undefined : stated(value, isProxy, readsElement);
    return client && nameOf(client, ipv6Bits);
  };
}

/** The name of most peers as Node gives them, without parsing: an IPv4 address, or one that IPv6 carries. */
function plainName(peerAddress: string): string | undefined {
  const text = peerAddress.startsWith(PLAIN_IPV4_MAPPED) ? peerAddress.slice(PLAIN_IPV4_MAPPED.length) : peerAddress;
  return isPlainIpv4(text) ? text : undefined;
}

function nameOfText(text: string | undefined, ipv6Bits: number): string | undefined {
  const address = text === undefined ? undefined : parseAddress(text);
  return address && nameOf(address, ipv6Bits);
}

/** The first address from the right that is no proxy's; the leftmost when all are. Each was written by the one to its right. */
function lastUntrusted(
  list: string,
  isProxy: (address: Address) => boolean,
  read: (element: string) => string | undefined,
): Address | undefined {
  let end = list.length;
  for (let hops = 0; hops < MAX_HOPS; hops++) {
    const comma = lastComma(list, end);
    const text = read(list.slice(comma + 1, end).trim());
    const address = text === undefined ? undefined : parseAddress(text);
    if (address === undefined || comma === -1 || !isProxy(address)) return address;
    end = comma;
  }
  return undefined;
}

function onlyAddress(value: string): Address | undefined {
  return parseAddress(value.trim());
}

/**
 * The last comma before `end` that isn't in quotes. From the right, so that an unbalanced quote which a client sent
 * changes nothing in what the proxies appended.
 */
function lastComma(list: string, end: number): number {
  let quoted = false;
  for (let i = end - 1; i >= 0; i--) {
    const character = list[i];
    if (character === '"') quoted = !quoted;
    else if (character === "," && !quoted) return i;
  }
  return -1;
}

/** The `for` of an element of `Forwarded` (RFC 7239, section 4). */
function forwardedFor(element: string): string | undefined {
  if (element.length > 500) return undefined;
  const pair = /\s*([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~:[\]-]+))\s*(?:;|$)/y;
  let found: string | undefined;
  while (pair.lastIndex < element.length) {
    const [, name, quoted, token] = pair.exec(element) ?? [];
    if (name === undefined) return undefined;
    if (name.toLowerCase() !== "for") continue;
    if (found !== undefined) return undefined;
    found = quoted ?? token;
  }
  return found;
}

function checkedNetwork(text: unknown): Network {
  const network = typeof text === "string" ? parseNetwork(text) : undefined;
  if (network !== undefined) return network;
  throw new TrypemaError(
    "INVALID_OPTION",
    `proxies: got ${show(text)}, expected addresses and networks such as "10.0.0.0/8", or "unix"`,
  );
}

/** @throws {TrypemaError} `INVALID_OPTION` unless `name` can be the name of a header; returns it in lower case */
export function checkedHeaderName(name: unknown): string {
  if (typeof name === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(name)) return name.toLowerCase();
  throw new TrypemaError("INVALID_OPTION", `header: got ${show(name)}, expected the name of a header`);
}
