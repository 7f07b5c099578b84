// The same headers read by other packages: proxy-addr, which Express has, and forwarded-parse.

import fc from "fast-check";
import parseForwarded from "forwarded-parse";
import ipaddr from "ipaddr.js";
import proxyAddr from "proxy-addr";
import { describe, expect, it } from "vitest";
import { clientAddress } from "./client-address.ts";
import type { HttpRequest } from "./request.ts";

const SEED = { seed: 5, numRuns: 3_000 };
/** For Express's loopback and uniquelocal. */
const NAMES = ["loopback", "uniquelocal"];

function request(peerAddress: string, headers: Record<string, string>): HttpRequest {
  return { raw: {}, method: "GET", path: "/", peerAddress, header: (name) => headers[name] };
}

/** What two ways to write an address have in common; undefined when it is none. */
function bytesOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (!ipaddr.IPv6.isValid(text) && (!ipaddr.IPv4.isValidFourPartDecimal(text) || /(^|\.)0\d/.test(text)))
    return undefined;
  return ipaddr.process(text).toByteArray().join(".");
}

/** The parser that proxy-addr has reads no IPv4 address right after `::`, as in `fc00::10.0.0.1`. */
const v6 = fc.ipV6().filter((text) => !/::\d+\.\d/.test(text) && ipaddr.parse(text).range() !== "rfc6052");
const proxy = fc.constantFrom("10.0.0.1", "127.0.0.1", "192.168.7.7", "::1", "fd00::7", "::ffff:10.9.8.7");
const address = fc.oneof({ weight: 2, arbitrary: proxy }, fc.ipV4(), v6);
const nobody = fc.constantFrom("unknown", "_hidden", "garbage", "1.2.3.256", "1.2.3", ":::", "<script>");
const entry = fc.oneof({ weight: 6, arbitrary: address }, nobody);
/** Between elements: commas with spaces, and elements of nothing. */
const separator = fc.constantFrom(",", ", ", " ,", " , ", ",,", ", ,", ",  , ");

const joined = (elements: readonly string[], separators: readonly string[]) =>
  elements.map((element, i) => (i === 0 ? element : separators[i % separators.length] + element)).join("");

const list = fc
  .tuple(fc.array(entry, { maxLength: 6 }), fc.array(separator, { minLength: 1, maxLength: 3 }))
  .map(([entries, separators]) => ({ entries, header: joined(entries, separators) }));

describe("X-Forwarded-For", () => {
  it("names the client that proxy-addr finds past the same networks", () => {
    const key = clientAddress({ proxies: NAMES, ipv6PrefixBits: 128 });
    fc.assert(
      fc.property(fc.oneof(proxy, address), list, (peer, { header }) => {
        const headers = { "x-forwarded-for": header };
        const theirs = proxyAddr({ headers, socket: { remoteAddress: peer } } as never, NAMES);
        expect(bytesOf(key(request(peer, headers)))).toBe(bytesOf(theirs));
      }),
      SEED,
    );
  });

  it("names the client that proxy-addr finds behind as many hops, as long as there are that many", () => {
    fc.assert(
      fc.property(address, list, fc.integer({ min: 1, max: 7 }), (peer, { entries, header }, hops) => {
        const headers = { "x-forwarded-for": header };
        const key = clientAddress({ proxies: hops, ipv6PrefixBits: 128 })(request(peer, headers));
        const theirs = proxyAddr({ headers, socket: { remoteAddress: peer } } as never, (_, i) => i < hops);
        expect(bytesOf(key)).toBe(bytesOf(entries.length < hops ? peer : theirs));
      }),
      SEED,
    );
  });
});

const quoted = (text: string) => `"${text.replace(/["\\]/g, "\\$&")}"`;
/** Quoted with needless quoted-pairs, which mean the same. */
const overquoted = (text: string) => `"${text.replace(/["\\.]/g, "\\$&")}"`;

const port = fc.oneof(
  fc.constant(""),
  fc.integer({ min: 0, max: 65_535 }).map((number) => `:${number}`),
  fc.constantFrom(":_obf", ":_a.b-c"),
);
/** The value of a `for` as the RFC has it, and the address in it. */
const node = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(address, port, fc.boolean()).map(([text, its, over]) => {
      const written = (text.includes(":") ? `[${text}]` : text) + its;
      return { address: text, value: /[:[]/.test(written) || over ? (over ? overquoted : quoted)(written) : written };
    }),
  },
  fc.constantFrom("unknown", "_hidden").map((value) => ({ address: undefined, value })),
);
const name = fc.constantFrom("for", "For", "FOR");
const other = fc.oneof(
  fc.constantFrom("proto=https", "by=_x", "Host=example.com", 'by="[::1]:80"', 'secret=""'),
  fc.string({ unit: fc.constantFrom(...'ab \t,;="\\for1.[]:'), maxLength: 12 }).map((text) => `ext=${quoted(text)}`),
);
/** An element: its pairs, and the address that it names. */
const element = fc
  .tuple(fc.uniqueArray(other, { maxLength: 2 }), fc.option(fc.tuple(name, node), { freq: 8 }), fc.nat(2))
  .filter(([others, named]) => others.length > 0 || named !== null)
  .map(([others, named, at]) => {
    const pairs = named === null ? others : others.toSpliced(at, 0, `${named[0]}=${named[1].value}`);
    return { pairs, address: named?.[1].address };
  });
const elements = fc.array(element, { minLength: 1, maxLength: 5 });

describe("Forwarded", () => {
  const key = clientAddress({ proxies: NAMES, header: "forwarded", ipv6PrefixBits: 128 });
  const keyOf = (header: string) => bytesOf(key(request("10.0.0.1", { forwarded: header })));

  /** The address of a node, as RFC 7239, section 6 has it. */
  function addressOf(theirs: string | undefined): string | undefined {
    const match = /^(?:([\d.]+)|\[([^\]]+)\])(?::(\d{1,5}|_[\w.-]+))?$/.exec(theirs ?? "");
    if (match === null || Number(match[3]) > 65_535) return undefined;
    return match[1] ?? match[2];
  }

  /** The client by what forwarded-parse reads. */
  function theirClient(header: string): string | undefined {
    const trusts = proxyAddr.compile(NAMES);
    const found = parseForwarded(header)
      .reverse()
      .map(({ for: theirs }) => addressOf(theirs));
    const client = found.findIndex((each) => each === undefined || !trusts(each, 0));
    return bytesOf(client === -1 ? found.at(-1) : found[client]);
  }

  it("names the client that forwarded-parse and proxy-addr find together", () => {
    fc.assert(
      fc.property(elements, (all) => {
        const header = all.map(({ pairs }) => pairs.join(";")).join(", ");
        expect(keyOf(header)).toBe(theirClient(header));
      }),
      SEED,
    );
  });

  it("means the same with as many empty pairs, empty elements and spaces as the RFCs allow", () => {
    const noise = fc.tuple(
      fc.constantFrom("", ";", ";;"),
      fc.constantFrom(";", ";;", " ; "),
      separator,
      fc.constantFrom("", ",", " , "),
    );
    fc.assert(
      fc.property(elements, noise, (all, [before, between, comma, after]) => {
        const plain = all.map(({ pairs }) => pairs.join(";")).join(", ");
        const noisy = after + all.map(({ pairs }) => before + pairs.join(between) + before).join(comma) + after;
        expect(keyOf(noisy)).toBe(keyOf(plain));
      }),
      SEED,
    );
  });

  it("names nobody in what forwarded-parse takes for an error, and whom it reads in what it doesn't", () => {
    const pieces = fc.constantFrom("for=", "by=", "1.2.3.4", "10.0.0.1", '"', "\\", ";", " ", "=", "_", "é", "\x7f");
    const single = fc.array(pieces, { maxLength: 10 }).map((all) => all.join(""));
    fc.assert(
      fc.property(single, (header) => {
        // The peer knows neither empty pairs nor spaces at the ends, which are right. Of two addresses it takes the
        // last, which is wrong.
        fc.pre(header === header.trim() && !/(^|;) *(;|$)/.test(header) && header.split("for=").length < 3);
        let theirs: string | undefined;
        try {
          theirs = theirClient(header);
        } catch {
          theirs = undefined;
        }
        expect(keyOf(header)).toBe(theirs);
      }),
      { ...SEED, numRuns: 20_000 },
    );
  });
});
