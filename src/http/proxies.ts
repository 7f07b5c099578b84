// Lists of networks, as users write them; and which proxies are trusted to name the client: those of some networks, or
// a number of them.

import { show, TrypemaError } from "../core/errors.ts";
import { type Address, contains, masked, type Network, parseNetwork, parsePeer } from "./address.ts";

const LOOPBACK = ["127.0.0.0/8", "::1"];
const LINK_LOCAL = ["169.254.0.0/16", "fe80::/10"];
const UNIQUE_LOCAL = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/** The first three are those of Express's `trust proxy`. */
const NAMED: Readonly<Record<string, readonly string[]>> = {
  loopback: LOOPBACK,
  linklocal: LINK_LOCAL,
  uniquelocal: UNIQUE_LOCAL,
  private: [...LOOPBACK, ...LINK_LOCAL, ...UNIQUE_LOCAL],
};

/** The NAT64 prefixes for local use (RFC 8215). A network here of 96 bits or fewer has all IPv4 addresses embedded. */
const LOCAL_NAT64: Network = { address: [0x64, 0xff9b, 1, 0, 0, 0, 0, 0], bits: 48 };

/** All of IPv4, and all public addresses of IPv6 (RFC 4291, section 2.4). */
const EVERYBODY: readonly Network[] = [
  { address: [0, 0, 0, 0], bits: 0 },
  { address: [0x2000, 0, 0, 0, 0, 0, 0, 0], bits: 3 },
];

/** Nobody has more proxies in a row. The number bounds the work that a header can cause. */
export const MAX_HOPS = 32;

const EXPECTED = [
  'networks such as "10.0.0.0/8" or "2001:db8::/32"',
  ...Object.keys(NAMED).map((name) => JSON.stringify(name)),
  '"unix"',
].join(", ");

/** Networks, and whoever connects by a unix socket. */
export interface Networks {
  readonly haveUnix: boolean;
  readonly contain: (address: Address) => boolean;
}

/** The trusted proxies. */
export interface Proxies {
  /** How many proxies are in front, whatever their addresses; undefined when the addresses decide. */
  readonly hops: number | undefined;
  readonly trustsUnix: boolean;
  readonly trusts: (address: Address) => boolean;
}

/** The option that has a list of networks, for messages about what is wrong with one. */
interface ListOption {
  readonly name: string;
  /** What else the option may be. */
  readonly orElse: string;
  /** Why it may not have everybody. */
  readonly notEverybody: string;
}

const PROXIES: ListOption = {
  name: "proxies",
  orElse: "a number of proxies in place of the array",
  notEverybody: "each client could choose its key; name your proxies only, or write how many are in front: proxies: 1",
};

/**
 * @returns undefined when no proxy is trusted
 * @throws {TrypemaError} `INVALID_OPTION`
 */
export function checkedProxies(proxies: unknown): Proxies | undefined {
  if (typeof proxies === "number" && Number.isInteger(proxies) && proxies >= 0 && proxies <= MAX_HOPS) {
    return proxies === 0 ? undefined : { hops: proxies, trustsUnix: true, trusts: () => true };
  }
  if (!Array.isArray(proxies)) {
    const array = typeof proxies === "string" && !/^\d*$/.test(proxies) ? `[${show(proxies)}]` : '["10.0.0.0/8"]';
    throw new TrypemaError(
      "INVALID_OPTION",
      `proxies: got ${show(proxies)}, expected an array such as ${array}, ` +
        `or how many proxies are in front, 0 to ${MAX_HOPS}`,
    );
  }
  if (proxies.length === 0) return undefined;
  const { haveUnix, contain } = checkedNetworks(proxies, PROXIES);
  return { hops: undefined, trustsUnix: haveUnix, trusts: contain };
}

/** @throws {TrypemaError} `INVALID_OPTION` */
export function checkedNetworks(list: readonly unknown[], option: ListOption): Networks {
  const networks = list
    .filter((entry) => entry !== "unix")
    .flatMap((entry): readonly unknown[] =>
      typeof entry === "string" && Object.hasOwn(NAMED, entry) ? NAMED[entry]! : [entry],
    )
    .map((entry) => checkedNetwork(entry, option));
  if (areEverybody(networks)) {
    const { name, notEverybody } = option;
    throw new TrypemaError(
      "INVALID_OPTION",
      `${name}: got networks that together are everybody, so that ${notEverybody}`,
    );
  }
  return {
    haveUnix: list.includes("unix"),
    contain: (address) => networks.some((network) => contains(network, address)),
  };
}

function checkedNetwork(text: unknown, { name, orElse, notEverybody }: ListOption): Network {
  const network = typeof text === "string" ? parseNetwork(text) : undefined;
  if (network !== undefined && !isEverybody(network)) return network;
  const meant = typeof text === "string" ? networkMeant(text) : undefined;
  const wanted =
    meant === undefined
      ? `expected ${EXPECTED}, or ${orElse}`
      : isEverybody(meant)
        ? `which is everybody, so that ${notEverybody}`
        : `write ${show(written(meant))}: plain addresses and networks, IPv4 as IPv4, without ports, zones, ` +
          "leading zeros and bits beyond the prefix";
  throw new TrypemaError("INVALID_OPTION", `${name}: got ${show(text)}, ${wanted}`);
}

function isEverybody(network: Network): boolean {
  return areEverybody([network]) || (network.bits <= 96 && contains(LOCAL_NAT64, network.address));
}

function areEverybody(networks: readonly Network[]): boolean {
  return EVERYBODY.some((whole) => haveAll(networks, whole));
}

/** Whether each address of `whole` is in one of the networks. */
function haveAll(networks: readonly Network[], whole: Network): boolean {
  if (networks.some((network) => network.bits <= whole.bits && contains(network, whole.address))) return true;
  const within = networks.filter(({ address }) => contains(whole, address));
  return within.length > 0 && halvesOf(whole).every((half) => haveAll(within, half));
}

function halvesOf({ address, bits }: Network): readonly Network[] {
  const width = address.length === 4 ? 8 : 16;
  const bit = 1 << (width - 1 - (bits % width));
  const upper = address.map((part, i) => (i === Math.floor(bits / width) ? part | bit : part));
  return [address, upper].map((half) => ({ address: half, bits: bits + 1 }));
}

/** The network that a text of a wrong form means, if that can be told. */
function networkMeant(text: string): Network | undefined {
  const [, start, prefix] = /^([^/]{1,90}?)(?:\/([\d.]{1,15}))?$/.exec(text.trim()) ?? [];
  if (start === undefined) return undefined;
  const address = parsePeer(start.replace(/(^|[.:])0+(?=\d+(?:\.|(?::\d+)?$))/g, "$1"));
  if (address === undefined) return undefined;
  const all = address.length === 4 ? 32 : 128;
  // The prefix of IPv4 in the form of IPv6 counts the 96 bits before the address.
  const bitsBefore = all === 32 && /:.*:/.test(start) ? 96 : 0;
  const bits = prefix === undefined ? all : Math.max(0, bitsOf(prefix) - bitsBefore);
  if (!(bits <= all)) return undefined;
  const network = { address: masked({ address, bits }), bits };
  // A network that is refused even in its plain form contains all of IPv4, so it means everybody.
  return parseNetwork(written(network)) === undefined ? { address, bits: 0 } : network;
}

/** The length of a prefix that is written as a number, or as a mask such as 255.255.0.0. */
function bitsOf(prefix: string): number {
  if (/^\d{1,3}$/.test(prefix)) return Number(prefix);
  const mask = parseNetwork(prefix)
    ?.address.map((part) => part.toString(2).padStart(8, "0"))
    .join("");
  return mask !== undefined && /^1*0*$/.test(mask) ? mask.lastIndexOf("1") + 1 : Number.NaN;
}

function written({ address, bits }: Network): string {
  const prefix = bits === address.length * (address.length === 4 ? 8 : 16) ? "" : `/${bits}`;
  if (address.length === 4) return address.join(".") + prefix;
  const groups = address.map((group) => group.toString(16)).join(":");
  return groups.replace(/(?:^|:)0(?::0)+(?:$|:)/, "::") + prefix;
}
