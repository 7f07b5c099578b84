import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, it } from "vitest";
import { contains, isPlainIpv4, masked, nameOf, parseAddress, parseNetwork, parsePeer } from "./address.ts";

const name = (text: string, bits = 64) => {
  const address = parseAddress(text);
  return address && nameOf(address, bits);
};

describe("an address", () => {
  it.each([
    ["203.0.113.7", "203.0.113.7"],
    ["203.0.113.7:4711", "203.0.113.7"],
    ["::ffff:203.0.113.7", "203.0.113.7"],
    ["::FFFF:cb00:7107", "203.0.113.7"],
    ["[::ffff:203.0.113.7]:80", "203.0.113.7"],
    ["64:ff9b::203.0.113.7", "203.0.113.7"],
    ["64:ff9b::cb00:7107", "203.0.113.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::", "2001:db8:1:2::/64"],
    ["[2001:db8:1:2::9]", "2001:db8:1:2::/64"],
    ["[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"],
    ["203.0.113.7:65535", "203.0.113.7"],
    ["fe80::1", "fe80:0:0:0:0:0:0:1"],
    ["::1", "0:0:0:0::/64"],
  ])("%s is known as %s", (text, expected) => {
    expect(name(text)).toBe(expected);
  });

  it.each([
    ["2001:db8::9%eth0", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0:0:0:0:1"],
    ["fe80::%eth0", "fe80:0:0:0:0:0:0:0"],
    [`[fe80::1%${"x".repeat(31)}]:80`, "fe80:0:0:0:0:0:0:1"],
    ["203.0.113.7", "203.0.113.7"],
    ["203.0.113.7%eth0", undefined],
    ["[::1]%eth0", undefined],
    ["::1%", undefined],
    [`::1%${"x".repeat(1e6)}`, undefined],
  ])("with a zone it is a peer's only: %s", (text, expected) => {
    if (text.includes("%")) expect(parseAddress(text)).toBeUndefined();
    const address = parsePeer(text);
    expect(address && nameOf(address, 64)).toBe(expected);
  });

  it("is known by as many bits of IPv6 as one wants", () => {
    expect(name("2001:db8:1234:5678:9abc::1", 128)).toBe("2001:db8:1234:5678:9abc:0:0:1");
    expect(name("2001:db8:1234:5678:9abc::1", 60)).toBe("2001:db8:1234:5670::/60");
    expect(name("2001:db8:1234:5678:9abc::1", 1)).toBe("0::/1");
    expect(name("2001:db8:1234:5678:9abc::1", 127)).toBe("2001:db8:1234:5678:9abc:0:0:0/127");
  });

  it.each([
    "",
    " ",
    "unknown",
    "_hidden",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.04",
    "0x1.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:port",
    "1.2.3.4:65536",
    "1.2.3.4:99999",
    "[::1]:65536",
    "1.2.3.4/24",
    " 1.2.3.4",
    "1.2.3.4\n",
    "١.2.3.4",
    "[1.2.3.4]x",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8:9",
    "12345::",
    "g::",
    "::1.2.3",
    "1.2.3.4::",
    "::1%",
    "1.2.3.4:000080",
    "[::1",
    "::1]",
    "[]",
    "x[::1]",
    "[::1]:",
    "[::1]:x",
    "[::1]:000080",
    `::${"1".repeat(10_000)}`,
    "9".repeat(100_000),
  ])("is not %j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  it("is the one that ipaddr.js reads, however it is written", () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    const written = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      bytes.map((each) => ipaddr.fromByteArray([...each]).toString()),
      bytes.map((each) => ipaddr.fromByteArray([...each]).toNormalizedString()),
      fc.ipV4().map((v4) => `::ffff:${v4}`),
    );
    fc.assert(
      fc.property(written, (text) => {
        // For ipaddr.js this is an IPv4-mapped address, which RFC 4291 says it is not.
        fc.pre(!/^::\d+\.\d/.test(text));
        const theirs = ipaddr.process(text);
        const numbers = theirs.kind() === "ipv4" ? theirs.toByteArray() : (theirs as ipaddr.IPv6).parts;
        const mine = parseAddress(text)!;
        // NAT64 is the one thing that ipaddr.js leaves as it is.
        if (mine.length === 4 && numbers.length === 8) expect(theirs.range()).toBe("rfc6052");
        else expect(mine).toEqual([...numbers]);
      }),
      { seed: 5, numRuns: 2_000 },
    );
  });

  it("is nothing that ipaddr.js takes for none, and never throws", () => {
    const nearly = fc.string({ unit: fc.constantFrom(..."0123456789abcf:.[]%x, "), maxLength: 45 });
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string({ unit: "binary" })), (text) => {
        const mine = parseAddress(text);
        if (mine === undefined) return;
        const bare = text.replace(/^\[(.*)\](:\d+)?$/, "$1").replace(/^([\d.]+):\d+$/, "$1");
        expect(ipaddr.isValid(bare)).toBe(true);
      }),
      { seed: 5, numRuns: 5_000 },
    );
  });

  it("is plainly IPv4 only when it is in its one form", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.string({ unit: fc.constantFrom(..."0129."), maxLength: 15 })), (text) => {
        expect(isPlainIpv4(text)).toBe(ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text));
      }),
      { seed: 5, numRuns: 2_000 },
    );
  });
});

describe("a network", () => {
  it("has the addresses that ipaddr.js says it has", () => {
    const pair = fc.oneof(
      fc.tuple(fc.ipV4(), fc.ipV4(), fc.nat(32)),
      fc.tuple(fc.ipV6(), fc.ipV6(), fc.nat(128)),
      fc.tuple(
        fc.constant("10.20.30.40"),
        fc.nat(255).map((last) => `10.20.30.${last}`),
        fc.nat(32),
      ),
    );
    fc.assert(
      fc.property(pair, ([network, address, bits]) => {
        const [base, other] = [ipaddr.parse(network), ipaddr.parse(address)];
        fc.pre([base, other].every((one) => !["ipv4Mapped", "rfc6052"].includes(one.range())));
        const plain = [...masked({ address: parseAddress(network)!, bits })];
        const text = plain.length === 4 ? plain.join(".") : plain.map((group) => group.toString(16)).join(":");
        const parsed = parseNetwork(`${text}/${bits}`);
        const carriers = ["::ffff:0:0", "64:ff9b::"].map((carrier) => ipaddr.parse(carrier));
        const hasIpv4 = base.kind() === "ipv6" && carriers.some((carrier) => carrier.match(base, bits));
        if (hasIpv4) expect(parsed).toBeUndefined();
        else expect(contains(parsed!, parseAddress(address)!)).toBe(other.match(base, bits));
      }),
      { seed: 5, numRuns: 2_000 },
    );
  });

  it("may be one address", () => {
    expect(contains(parseNetwork("10.0.0.1")!, [10, 0, 0, 1])).toBe(true);
    expect(contains(parseNetwork("10.0.0.1")!, [10, 0, 0, 2])).toBe(false);
  });

  it.each([
    "",
    "/8",
    "all",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.1/8",
    "010.0.0.0/8",
    "10.0.0.1:80",
    "::/129",
    "[::1]",
    "fe80::1%eth0",
    "2001:db8::1/32",
    "2001:db8::192.0.2.1",
    "::ffff:10.0.0.0/104",
    "::ffff:0:0/96",
    "64:ff9b::/96",
    "64:ff9b::/32",
    "64:ff9b::a00:1",
    "::/8",
  ])("is not %j", (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });
});
