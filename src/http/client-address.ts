// Finds the client that a request comes from. A client can write any header itself, so a header counts only when it
// comes through a trusted proxy.

import { show, TrypemaError } from "../core/errors.ts";
import { checkOptions, integerOption } from "../core/options.ts";
import { type Address, isPlainIpv4, nameOf, parseAddress, parsePeer } from "./address.ts";
import { checkedProxies, MAX_HOPS, type Proxies } from "./proxies.ts";
import type { HttpRequest } from "./request.ts";

/** Which proxies are trusted to tell the client's address; the options of {@link clientAddress}. */
export interface ClientAddressOptions {
  /**
   * The trusted proxies: either how many are in front, 1 to 32, or their addresses. A list may have addresses, networks
   * (`"10.0.0.0/8"`, `"2001:db8::/32"`), the names of networks `"loopback"`, `"linklocal"`, `"uniquelocal"` (as Express
   * has them) and `"private"` (all of these), and `"unix"` for connections by a unix socket. Default none: the client
   * is the peer, and no header is read.
   *
   * With a number, every peer is trusted, so the server must accept connections only from the nearest proxy.
   */
  readonly proxies?: number | readonly string[];
  /**
   * The header in which these proxies name the client. `"x-forwarded-for"` (the default) and `"forwarded"` (RFC 7239)
   * are lists, which are read from the right to the first address that isn't a proxy's. Any other header, such as
   * `"cf-connecting-ip"`, has one address.
   */
  readonly header?: string;
  /**
   * IPv6 addresses whose first bits, this many, are equal are one client; 1 to 128. Default 64, because a client
   * usually has a whole /64 network.
   */
  readonly ipv6PrefixBits?: number;
}

/** From where a key takes the client's address. Notices about mistakes need to know it. */
export interface ClientSource {
  /** Undefined when no proxy is trusted. */
  readonly proxies: Proxies | undefined;
  /** The header in which the proxies write the client's address. */
  readonly headerName: string;
  readonly readClient: HeaderReader;
}

const clientSources = new WeakMap<object, ClientSource>();

/** Undefined for a key that isn't made of {@link clientAddress}. */
export function clientSourceOf(key: object): ClientSource | undefined {
  return clientSources.get(key);
}

export function setClientSource(key: object, source: ClientSource | undefined): void {
  if (source !== undefined) clientSources.set(key, source);
}

const PLAIN_IPV4_MAPPED = "::ffff:";
/** How many elements of a list are read at most, empty ones included. */
const MAX_ELEMENTS = MAX_HOPS;
const MADE_UP_PORT = /^([\d.]+|\[[^\]]*\]):_[\w.-]+$/;

/**
 * A key: the address of the client. A request has no key when the peer's address isn't known, or when a trusted proxy
 * sends something that isn't an address. If a proxy names no client, as in its health checks, the proxy itself is the
 * client.
 *
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function clientAddress(options: ClientAddressOptions = {}): (request: HttpRequest) => string | undefined {
  checkOptions("clientAddress", options, ["proxies", "header", "ipv6PrefixBits"]);
  const { proxies: given = [], header = "x-forwarded-for" } = options;
  const ipv6Bits = integerOption("ipv6PrefixBits", options.ipv6PrefixBits, 64, 1, 128);
  const proxies = checkedProxies(given);
  const headerName = checkedHeaderName(header);
  const readClient = headerReaderOf(headerName);

  const source = { proxies, headerName, readClient };
  const key = keyOf(source, ipv6Bits);
  setClientSource(key, source);
  return key;
}

function keyOf(source: ClientSource, ipv6Bits: number): (request: HttpRequest) => string | undefined {
  const peerName = ({ peerAddress }: HttpRequest) => (peerAddress === undefined ? undefined : plainName(peerAddress));
  const peerKey = (request: HttpRequest) => peerName(request) ?? nameOfText(request.peerAddress, ipv6Bits);
  const { proxies } = source;
  if (proxies === undefined) return peerKey;
  return (request) => {
    const client = namedClient(source, request);
    if (client !== "nobody") return client && nameOf(client, ipv6Bits);
    return request.peerAddress === "unix" && proxies.trustsUnix ? "unix" : peerKey(request);
  };
}

/**
 * The whole address of the client; `"unix"` for a peer on a unix socket; undefined when there is none to trust. A
 * trusted proxy that names nobody may have anybody behind it, so its address isn't the client's.
 */
export function clientOf(source: ClientSource, request: HttpRequest): Address | "unix" | undefined {
  const client = namedClient(source, request);
  if (client !== "nobody") return client;
  const { peerAddress } = request;
  if (source.proxies !== undefined && isTrusted(peerAddress, source.proxies)) return undefined;
  return peerAddress === undefined || peerAddress === "unix" ? peerAddress : parsePeer(peerAddress);
}

/** Whom a trusted proxy names, as a {@link HeaderReader} says; `"nobody"` also where the peer is no trusted proxy. */
function namedClient(
  { proxies, headerName, readClient }: ClientSource,
  request: HttpRequest,
): ReturnType<HeaderReader> {
  if (proxies === undefined || !isTrusted(request.peerAddress, proxies)) return "nobody";
  const value = request.header(headerName);
  return value === undefined ? "nobody" : readClient(value, proxies);
}

function isTrusted(peerAddress: string | undefined, { hops, trusts, trustsUnix }: Proxies): boolean {
  if (hops !== undefined) return true;
  if (peerAddress === "unix") return trustsUnix;
  const peer = peerAddress === undefined ? undefined : parsePeer(peerAddress);
  return peer !== undefined && trusts(peer);
}

/** The name of a peer without parsing, for most of them: an IPv4 address, or one that is embedded in IPv6. */
function plainName(peerAddress: string): string | undefined {
  const text = peerAddress.startsWith(PLAIN_IPV4_MAPPED) ? peerAddress.slice(PLAIN_IPV4_MAPPED.length) : peerAddress;
  return isPlainIpv4(text) ? text : undefined;
}

function nameOfText(text: string | undefined, ipv6Bits: number): string | undefined {
  const address = text === undefined ? undefined : parsePeer(text);
  return address && nameOf(address, ipv6Bits);
}

/**
 * Reads the client's address from the value of a header; undefined when the proxy wrote something that is no address,
 * `"nobody"` when it named no client.
 */
export type HeaderReader = (value: string, proxies: Proxies) => Address | "nobody" | undefined;

/** The reader of a header in which proxies name the client. */
export function headerReaderOf(headerName: string): HeaderReader {
  if (headerName === "x-forwarded-for") return (list, proxies) => fromList(list, proxies, parseAddress);
  if (headerName === "forwarded") return (list, proxies) => fromList(list, proxies, forwardedFor);
  return onlyAddress;
}

function onlyAddress(value: string): Address | "nobody" | undefined {
  const text = value.trim();
  return text === "" ? "nobody" : parseAddress(text);
}

/**
 * The client in a list to which each proxy appended the address that it saw. With networks it is the first address from
 * the right that is no proxy's, or the leftmost one when all are. With a number it is the address that the outermost
 * proxy appended, whatever the others are. A list with fewer addresses than proxies names nobody, because the client
 * can write the left end of such a list. Empty elements don't count (RFC 9110, section 5.6.1).
 */
function fromList(
  list: string,
  { hops, trusts }: Proxies,
  read: (element: string) => Address | undefined,
): Address | "nobody" | undefined {
  let leftmost: Address | "nobody" = "nobody";
  let proxiesPassed = 1;
  let end = list.length;
  for (let i = 0; i < MAX_ELEMENTS && end >= 0; i++) {
    const comma = lastComma(list, end);
    const element = list.slice(comma + 1, end).trim();
    end = comma;
    if (element === "") continue;
    if (hops !== undefined && proxiesPassed++ < hops) continue;
    const address = read(element);
    if (hops !== undefined || address === undefined || !trusts(address)) return address;
    leftmost = address;
  }
  return end < 0 ? leftmost : undefined;
}

/**
 * The last comma before `end` that isn't in quotes. The search goes from right to left, so that an unbalanced quote
 * from a client changes nothing in what the proxies appended.
 */
function lastComma(list: string, end: number): number {
  let quoted = false;
  for (let i = end - 1; i >= 0; i--) {
    const character = list[i];
    if (character === '"' && !isEscaped(list, i)) quoted = !quoted;
    else if (character === "," && !quoted) return i;
  }
  return -1;
}

/** Whether the character at `at` is escaped: an odd number of backslashes is before it. */
function isEscaped(list: string, at: number): boolean {
  let start = at;
  while (list[start - 1] === "\\") start--;
  return (at - start) % 2 === 1;
}

/**
 * A name and a value, in quotes or not, up to the next semicolon. It takes colons and brackets outside of quotes too,
 * because many proxies leave the quotes out.
 */
const FORWARDED_PAIR = new RegExp(
  String.raw`[ \t]*(?:([\w!#$%&'*+.^\x60|~-]+)=` +
    String.raw`(?:"((?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)"|([\w!#$%&'*+.^\x60|~:[\]-]+))[ \t]*)?(?:;|$)`,
  "y",
);

/** The address in the `for` of an element of `Forwarded` (RFC 7239, section 4); its port may be a made-up name. */
function forwardedFor(element: string): Address | undefined {
  if (element.length > 500) return undefined;
  const pair = FORWARDED_PAIR;
  pair.lastIndex = 0;
  let found: string | undefined;
  while (pair.lastIndex < element.length) {
    const match = pair.exec(element);
    if (match === null) return undefined;
    const [, name, quoted, token] = match;
    if (name?.toLowerCase() !== "for") continue;
    if (found !== undefined) return undefined;
    found = quoted?.replace(/\\(.)/g, "$1") ?? token;
  }
  return found === undefined ? undefined : parseAddress(found.replace(MADE_UP_PORT, "$1"));
}

/** @throws {TrypemaError} `INVALID_OPTION` unless `name` can be the name of a header; returns it in lower case */
export function checkedHeaderName(name: unknown): string {
  if (typeof name === "string" && /^[\w!#$%&'*+.^`|~-]+$/.test(name)) return name.toLowerCase();
  throw new TrypemaError("INVALID_OPTION", `header: got ${show(name)}, expected the name of a header`);
}
