// Notices mistakes in the choice of the client that a request counts for. Without a notice nobody would see them: all
// clients behind a proxy count as one, no request has a key, or one client has many keys.

import { isLinkLocal, nameOf, parsePeer } from "./address.ts";
import { type Addressing, addressingOf, statementOf } from "./client-address.ts";
import type { Notices } from "./notices.ts";
import type { Proxies } from "./proxies.ts";
import type { HttpRequest } from "./request.ts";

/** Requests of a limiter that are looked at: enough to find what is wrong with all of them. */
const LOOKED_AT = 100;

/** Longer keys aren't looked at: a client may choose one of thousands of parts. */
const LONGEST_LOOKED_AT = 200;

/** Headers in which proxies say who the client is. */
const FORWARDING = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"];

/** Whether a key goes by the peer's address, so that there is none where nobody tells it. */
export function needsPeer(key: object): boolean {
  const addressing = addressingOf(key);
  return addressing !== undefined && addressing.proxies?.hops === undefined;
}

/** Looks at the requests of one limiter. */
export class ClientNotices {
  readonly #addressing: Addressing | undefined;
  readonly #notices: Notices;
  #left: number;
  #knowsKeys = false;

  constructor(key: object, notices: Notices) {
    this.#addressing = addressingOf(key);
    this.#notices = notices;
    const { proxies } = this.#addressing ?? {};
    const canBeWrong = this.#addressing !== undefined && (proxies === undefined || proxies.hops !== undefined);
    this.#left = canBeWrong ? LOOKED_AT : 0;
  }

  /** Whether requests are still looked at. */
  get isLooking(): boolean {
    return this.#left > 0;
  }

  look(request: HttpRequest): void {
    this.#left--;
    const addressing = this.#addressing!;
    if (addressing.proxies === undefined) this.#lookForProxy(request);
    else this.#lookForHops(request, addressing);
  }

  #lookForProxy(request: HttpRequest): void {
    const { proxySetting } = request;
    const header = headerOfAnother(request);
    if (proxySetting === undefined && header === undefined) return;
    const seen =
      proxySetting !== undefined
        ? `the framework was told of its proxy (${proxySetting}), but this limiter was not`
        : `a request came with ${header}, but no proxy was named to this limiter`;
    const named = header === undefined || header === "x-forwarded-for" ? "" : `, header: "${header}"`;
    this.#tell(
      "PROXY_UNNAMED",
      `${seen}, so everybody behind a proxy counts as one client; where there is one, say so: ` +
        `key: clientAddress({ proxies: 1${named} }), with as many as are in front, or with their networks`,
    );
  }

  #lookForHops(request: HttpRequest, { proxies, headerName, stated }: Addressing): void {
    const value = request.header(headerName);
    if (value === undefined || !/[^\s,]/.test(value) || stated(value, proxies!) !== "nobody") return;
    this.#tell(
      "PROXIES_MISSING",
      `proxies: ${proxies!.hops} were counted, but ${headerName} came with fewer addresses, and such requests count for the ` +
        "nearest proxy; count those that are in front of the server",
    );
  }

  #tell(code: "PROXY_UNNAMED" | "PROXIES_MISSING", message: string): void {
    this.#left = 0;
    this.#notices.tell(code, message);
  }

  /** A request has no key. */
  missed({ peerAddress }: HttpRequest): void {
    // A socket that was closed has no peer either, but not from the first request on.
    if (this.#knowsKeys || this.#addressing === undefined) return;
    if (peerAddress === undefined) {
      this.#notices.tell(
        "PEER_UNKNOWN",
        "requests have no key, because nobody tells the peer's address and no proxy that is believed names a client; give " +
          "the adapter its option peerAddress, or the limiter a key, or, behind a proxy, key: clientAddress({ proxies: 1 })",
      );
    } else if (peerAddress === "unix") {
      this.#notices.tell(
        "PEER_UNKNOWN",
        "requests have no key, because they come by a unix socket; where a proxy connects to it, name it: " +
          'key: clientAddress({ proxies: ["unix"] })',
      );
    }
  }

  /** A request has a key that the limiter doesn't remember. */
  found(key: string): void {
    this.#knowsKeys = true;
    if (this.#addressing !== undefined || key.length > LONGEST_LOOKED_AT || !key.includes(":")) return;
    if (!key.split("|").some(isWholeIpv6)) return;
    this.#notices.tell(
      "IPV6_WHOLE",
      "its key is a whole IPv6 address, but who has one usually has a /64 of them, a new key for each request; use " +
        "clientAddress(), which makes a client of each /64",
    );
  }
}

const NOBODY: Proxies = { hops: undefined, trustsUnix: false, trusts: () => false };

/**
 * The first header whose last entry names somebody else than the peer. None where another one names the peer: then the
 * adapter was told to take it from there, and what the rest say is of proxies between.
 */
function headerOfAnother({ header, peerAddress }: HttpRequest): string | undefined {
  const peer = peerAddress === undefined ? undefined : parsePeer(peerAddress);
  if (peer === undefined) return undefined;
  const peerName = nameOf(peer, 128);
  let another: string | undefined;
  for (const name of FORWARDING) {
    const value = header(name);
    const said = value === undefined ? undefined : statementOf(name)(value, NOBODY);
    if (said === undefined || said === "nobody") continue;
    if (nameOf(said, 128) === peerName) return undefined;
    another ??= name;
  }
  return another;
}

function isWholeIpv6(text: string): boolean {
  const address = parsePeer(text);
  return address?.length === 8 && !isLinkLocal(address);
}
