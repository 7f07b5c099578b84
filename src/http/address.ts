// IP addresses as text, numbers and networks. Clients write some of these texts, so a doubtful one is no address.

/** The four bytes of an IPv4 address, or the eight 16-bit groups of an IPv6 address. */
export type Address = readonly number[];

/** A network: the addresses whose first `bits` bits are those of `address`. */
export interface Network {
  readonly address: Address;
  readonly bits: number;
}

const LONGEST = "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535".length;
const LONGEST_ZONE = 32;
const IPV4_WITH_PORT = /^(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?::(\d{1,5}))?$/;
const IPV6_IN_BRACKETS = /^\[([^\]]+)\](?::(\d{1,5}))?$/;
const ZONE = /(:[^%\]]*)%[\w.~-]+(?=\]|$)/;
const MAX_PORT = 65_535;
/** The IPv6 networks whose addresses have an IPv4 address embedded (RFC 6052): IPv4-mapped, and NAT64. */
const IPV4_EMBEDDING: readonly Network[] = [
  { address: [0, 0, 0, 0, 0, 0xffff, 0, 0], bits: 96 },
  { address: [0x64, 0xff9b, 0, 0, 0, 0, 0, 0], bits: 96 },
];

/**
 * Understands `a.b.c.d`, `a.b.c.d:port`, IPv6, `[IPv6]` and `[IPv6]:port`. IPv4-mapped (`::ffff:0:0/96`) and NAT64
 * (`64:ff9b::/96`, RFC 6052) addresses become the IPv4 address that is embedded in them. Numbers with leading zeros are
 * not understood, because some programs read them as octal. Zones are not understood either, because they mean nothing
 * beyond a machine's own links.
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > LONGEST) return undefined;
  const v4 = IPV4_WITH_PORT.exec(text);
  const v6 = v4 === null ? IPV6_IN_BRACKETS.exec(text) : null;
  const port = v4?.[2] ?? v6?.[2];
  if (port !== undefined && Number(port) > MAX_PORT) return undefined;
  if (v4 !== null) return parseIpv4(v4[1]!);
  const groups = parseIpv6(v6?.[1] ?? text);
  return groups === undefined ? undefined : (embeddedIpv4(groups) ?? groups);
}

/** Parses the address of the other end of a connection. A link-local one may have a zone: `fe80::1%eth0`. */
export function parsePeer(text: string): Address | undefined {
  return text.length > LONGEST + LONGEST_ZONE ? undefined : parseAddress(text.replace(ZONE, "$1"));
}

/**
 * Understands addresses and networks in their plain form, `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.1`: with no bits set
 * beyond the prefix, with no port, zone or bracket. An IPv6 address with an embedded IPv4 address is refused, and so is
 * a network that contains such addresses: they are compared as IPv4, so the network would never match them.
 */
export function parseNetwork(text: string): Network | undefined {
  const [, written, prefix] = /^([^/]{1,45})(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? [];
  if (written === undefined) return undefined;
  const address = parseIpv4(written) ?? (written.includes(".") ? undefined : parseIpv6(written));
  if (address === undefined) return undefined;
  const all = widthOf(address);
  const bits = prefix === undefined ? all : Number(prefix);
  const network = { address, bits };
  if (bits > all || masked(network).some((part, i) => part !== address[i])) return undefined;
  const embedsIpv4 = IPV4_EMBEDDING.some((known) => contains(network, known.address) || contains(known, address));
  return embedsIpv4 ? undefined : network;
}

/** The address of a network, with all bits beyond the prefix set to 0. */
export function masked({ address, bits }: Network): Address {
  const width = address.length === 4 ? 8 : 16;
  return address.map((part, i) => {
    const shift = Math.min(width, Math.max(0, width * (i + 1) - bits));
    return (part >> shift) << shift;
  });
}

export function contains({ address, bits }: Network, other: Address): boolean {
  if (address.length !== other.length) return false;
  const width = address.length === 4 ? 8 : 16;
  for (let i = 0, left = bits; left > 0; i++, left -= width) {
    const shift = Math.max(0, width - left);
    if (address[i]! >> shift !== other[i]! >> shift) return false;
  }
  return true;
}

/**
 * The name of the client that an address stands for: an IPv4 address, or the first `ipv6Bits` of an IPv6 address,
 * because who has one of these usually has them all. A link-local address is the name as a whole, because the prefix of
 * link-local addresses is the same for everybody.
 */
export function nameOf(address: Address, ipv6Bits: number): string {
  if (address.length === 4) return address.join(".");
  const bits = isLinkLocal(address) ? 128 : ipv6Bits;
  const groups = masked({ address, bits })
    .slice(0, Math.ceil(bits / 16))
    .map((group) => group.toString(16));
  return bits === 128 ? groups.join(":") : `${groups.join(":")}${groups.length < 8 ? "::" : ""}/${bits}`;
}

/** Addresses that each link has for itself, such as `fe80::1`; they all begin alike. */
export function isLinkLocal(address: Address): boolean {
  return (address[0]! & 0xffc0) === 0xfe80;
}

/** Whether a text is an IPv4 address as `nameOf` writes it, without a port: the cheap way for most peers. */
export function isPlainIpv4(text: string): boolean {
  let dots = 0;
  let value = -1;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit === -2) {
      if (value === -1) return false;
      dots++;
      value = -1;
    } else if (digit >= 0 && digit <= 9 && value !== 0) {
      value = value === -1 ? digit : value * 10 + digit;
      if (value > 255) return false;
    } else {
      return false;
    }
  }
  return dots === 3 && value !== -1;
}

function widthOf(address: Address): number {
  return address.length === 4 ? 32 : 128;
}

function parseIpv4(text: string): Address | undefined {
  return isPlainIpv4(text) ? text.split(".").map(Number) : undefined;
}

function parseIpv6(text: string): Address | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  if (halves.length === 1) return head?.length === 8 ? head : undefined;
  const tail = parseGroups(halves[1]!, true);
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const v4 = mayEndInIpv4 && i === parts.length - 1 ? parseIpv4(part) : undefined;
    if (v4 === undefined) return undefined;
    groups.push(v4[0]! * 256 + v4[1]!, v4[2]! * 256 + v4[3]!);
  }
  return groups;
}

function embeddedIpv4(groups: Address): Address | undefined {
  if (!IPV4_EMBEDDING.some((known) => contains(known, groups))) return undefined;
  const [high, low] = groups.slice(6) as [number, number];
  return [high >> 8, high & 255, low >> 8, low & 255];
}
