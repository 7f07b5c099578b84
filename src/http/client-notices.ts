// Notices mistakes in the choice of the client that a request counts for. Without a notice nobody would see them: all
// clients behind a proxy count as one, no request has a key, or one client has many keys.

import { isLinkLocal, nameOf, parsePeer } from "./address.ts";
import { type ClientSource, clientSourceOf, headerReaderOf } from "./client-address.ts";
import type { Notices } from "./notices.ts";
import type { Proxies } from "./proxies.ts";
import type { HttpRequest } from "./request.ts";

/** How many requests of a limiter are inspected. A mistake that concerns all requests shows in so many. */
const INSPECTED_REQUESTS = 100;

/** If none of so many first requests of a limiter has a key, its key function looks for it in the wrong place. */
const REQUESTS_WITHOUT_KEY = 10;

/** Longer keys aren't inspected, because a client may send a key of thousands of parts. */
const LONGEST_INSPECTED_KEY = 200;

/** Headers in which proxies name the client. */
const FORWARDING = ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "true-client-ip"];

/** Whether a key needs the peer's address: without it no request has a key. */
export function needsPeer(key: object): boolean {
  const source = clientSourceOf(key);
  return source !== undefined && source.proxies?.hops === undefined;
}

/** Inspects the first requests of one limiter, and its new keys. Changes no decision. */
export class ClientNotices {
  readonly #source: ClientSource | undefined;
  readonly #notices: Notices;
  #left: number;
  #knowsKeys = false;
  #withoutKey = 0;

  constructor(key: object, notices: Notices) {
    this.#source = clientSourceOf(key);
    this.#notices = notices;
    const { proxies } = this.#source ?? {};
    const canBeWrong = this.#source !== undefined && (proxies === undefined || proxies.hops !== undefined);
    this.#left = canBeWrong ? INSPECTED_REQUESTS : 0;
  }

  /** Whether more requests are to be inspected. */
  get isInspecting(): boolean {
    return this.#left > 0;
  }

  inspect(request: HttpRequest): void {
    this.#left--;
    const source = this.#source!;
    if (source.proxies === undefined) this.#checkForProxy(request);
    else this.#checkHops(request, source);
  }

  #checkForProxy(request: HttpRequest): void {
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

  #checkHops(request: HttpRequest, { proxies, headerName, readClient }: ClientSource): void {
    const value = request.header(headerName);
    if (value === undefined || !/[^\s,]/.test(value) || readClient(value, proxies!) !== "nobody") return;
    this.#tell(
      "PROXIES_MISSING",
      `proxies: ${proxies!.hops} were counted, but ${headerName} came with fewer addresses, and such requests count ` +
        "for the nearest proxy; count those that are in front of the server",
    );
  }

  #tell(code: "PROXY_UNNAMED" | "PROXIES_MISSING", message: string): void {
    this.#left = 0;
    this.#notices.tell(code, message);
  }

  /** Notes a request without a key. `isRejected`: it is answered with 400. */
  noteMissingKey({ peerAddress }: HttpRequest, isRejected: boolean): void {
    // A closed socket has no peer address either. But then earlier requests had a key.
    if (this.#knowsKeys) return;
    if (this.#source === undefined) {
      if (isRejected && ++this.#withoutKey === REQUESTS_WITHOUT_KEY) this.#tellOfNoKey();
    } else if (peerAddress === undefined) {
      this.#notices.tell(
        "PEER_UNKNOWN",
        "requests have no key, because the peer's address isn't known and no trusted proxy names a client; " +
          "give the adapter the option peerAddress, or give the limiter a key, behind a proxy " +
          "key: clientAddress({ proxies: 1 })",
      );
    } else if (peerAddress === "unix") {
      this.#notices.tell(
        "PEER_UNKNOWN",
        "requests have no key, because they come by a unix socket; if a proxy connects to it, name it: " +
          'key: clientAddress({ proxies: ["unix"] })',
      );
    }
  }

  #tellOfNoKey(): void {
    this.#notices.tell(
      "KEY_MISSING",
      `its key function found no key in any of its first ${REQUESTS_WITHOUT_KEY} requests, so all were answered with ` +
        "400; if the key is in the body, have the body read before: in Express, express.json() goes in front of the " +
        "limiter; in Fastify, the limiter is a preHandler of the route",
    );
  }

  /** Notes a key that the limiter doesn't remember. */
  noteNewKey(key: string): void {
    this.#knowsKeys = true;
    if (this.#source !== undefined || key.length > LONGEST_INSPECTED_KEY || !key.includes(":")) return;
    if (!key.split("|").some(isWholeIpv6)) return;
    this.#notices.tell(
      "IPV6_WHOLE",
      "its key is a whole IPv6 address, but a client usually has a whole /64 network, so a new key for each request; " +
        "use clientAddress(), which makes each /64 network one client",
    );
  }
}

const NOBODY: Proxies = { hops: undefined, trustsUnix: false, trusts: () => false };

/**
 * The first header whose last entry names another client than the peer. Undefined when some header names the peer: then
 * the adapter took the peer's address from that header, and the other headers name proxies in between.
 */
function headerOfAnother({ header, peerAddress }: HttpRequest): string | undefined {
  const peer = peerAddress === undefined ? undefined : parsePeer(peerAddress);
  if (peer === undefined) return undefined;
  const peerName = nameOf(peer, 128);
  let another: string | undefined;
  for (const name of FORWARDING) {
    const value = header(name);
    const client = value === undefined ? undefined : headerReaderOf(name)(value, NOBODY);
    if (client === undefined || client === "nobody") continue;
    if (nameOf(client, 128) === peerName) return undefined;
    another ??= name;
  }
  return another;
}

function isWholeIpv6(text: string): boolean {
  const address = parsePeer(text);
  return address?.length === 8 && !isLinkLocal(address);
}
