// IP addresses as text, numbers and networks. Written by strangers in part, so what isn't surely an address is none.

/** The four bytes of an IPv4 address, or the eight 16-bit groups of an IPv6 address. */
export type Address = readonly number[];

/** A network: the addresses whose first `bits` bits are those of `address`. */
export interface Network {
  readonly address: Address;
  readonly bits: number;
}

const LONGEST = "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%]:65535".length + 32;
const IPV4_WITH_PORT = /^(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?::\d{1,5})?$/;
const ZONE = /%[\w.~-]+$/;
const IPV6_IN_BRACKETS = /^\[([^\]]+)\](?::\d{1,5})?$/;

/**
 * Understands `a.b.c.d`, `a.b.c.d:port`, IPv6, `[IPv6]` and `[IPv6]:port`, with a zone or without. IPv4-mapped
 * (`::ffff:0:0/96`) and NAT64 (`64:ff9b::/96`, RFC 6052) addresses are the IPv4 address that they carry. Numbers
 * with leading zeros, which some read as octal, are not understood.
 */
export function parseAddress(text: string): Address | undefined {
  if (text.length > LONGEST) return undefined;
  const v4 = IPV4_WITH_PORT.exec(text);
  if (v4 !== null) return parseIpv4(v4[1]!);
  const v6 = IPV6_IN_BRACKETS.exec(text)?.[1] ?? text;
  const groups = parseIpv6(v6.replace(ZONE, ""));
  return groups === undefined ? undefined : (carriedIpv4(groups) ?? groups);
}

/** @returns undefined for what is no network; a bare address is a network of its own */
export function parseNetwork(text: string): Network | undefined {
  const [, addressText, bitsText] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = addressText === undefined ? undefined : parseAddress(addressText);
  if (address === undefined) return undefined;
  const all = widthOf(address);
  // The prefix of a mapped network counts the 96 bits before the IPv4 address.
  const carried = all === 32 && addressText!.includes(":") ? 96 : 0;
  const bits = bitsText === undefined ? all : Number(bitsText) - carried;
  return bits >= 0 && bits <= all ? { address, bits } : undefined;
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
 * for who has one usually has them all. Link-local addresses have one prefix for everybody and are names whole.
 */
export function nameOf(address: Address, ipv6Bits: number): string {
  if (address.length === 4) return address.join(".");
  const bits = (address[0]! & 0xffc0) === 0xfe80 ? 128 : ipv6Bits;
  const groups: string[] = [];
  for (let i = 0, left = bits; left > 0; i++, left -= 16) {
    const shift = Math.max(0, 16 - left);
    groups.push(((address[i]! >> shift) << shift).toString(16));
  }
  return bits === 128 ? groups.join(":") : `${groups.join(":")}${groups.length < 8 ? "::" : ""}/${bits}`;
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

function carriedIpv4(groups: Address): Address | undefined {
  const [a, b, c, d, e, f, high, low] = groups as [number, number, number, number, number, number, number, number];
  const middleIsZero = (b | c | d | e) === 0;
  const mapped = a === 0 && middleIsZero && f === 0xffff;
  const nat64 = a === 0x64 && b === 0xff9b && (c | d | e | f) === 0;
  if (!mapped && !nat64) return undefined;
  return [high >> 8, high & 255, low >> 8, low & 255];
}
