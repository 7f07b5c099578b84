// The spoofing table: what a client may send, and who it is taken for.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ClientAddressOptions, clientAddress } from "./client-address.ts";
import type { HttpRequest } from "./request.ts";

function request(peerAddress: string | undefined, headers: Record<string, string> = {}): HttpRequest {
  return { raw: {}, method: "GET", path: "/", peerAddress, header: (name) => headers[name] };
}

const TRUSTED = { proxies: ["10.0.0.0/8", "2001:db8:aaaa::/48"] };
const CLOUDFLARE = { ...TRUSTED, header: "CF-Connecting-IP" };
const FORWARDED = { ...TRUSTED, header: "Forwarded" };

const xff = (value: string) => ({ "x-forwarded-for": value });
const forwarded = (value: string) => ({ forwarded: value });

type Row = [why: string, options: ClientAddressOptions, from: HttpRequest, client: string | undefined];

const table: Row[] = [
  ["a peer is itself", {}, request("203.0.113.7"), "203.0.113.7"],
  ["an IPv4 peer of a dual-stack socket", {}, request("::ffff:203.0.113.7"), "203.0.113.7"],
  ["headers mean nothing by default", {}, request("203.0.113.7", xff("1.1.1.1")), "203.0.113.7"],
  ["headers mean nothing from a stranger", TRUSTED, request("203.0.113.7", xff("1.1.1.1")), "203.0.113.7"],
  ["nor does a trusted one's name in them", TRUSTED, request("203.0.113.7", xff("10.0.0.1")), "203.0.113.7"],
  ["nobody knows a peer without an address", {}, request(undefined), undefined],
  ["not even behind a proxy", TRUSTED, request(undefined, xff("1.1.1.1")), undefined],
  ["a peer that is no address", {}, request("garbage"), undefined],
  ["a proxy says who it is", TRUSTED, request("10.0.0.1", xff("203.0.113.7")), "203.0.113.7"],
  ["a mapped proxy too", TRUSTED, request("::ffff:10.0.0.1", xff("203.0.113.7")), "203.0.113.7"],
  ["an IPv6 proxy too", TRUSTED, request("2001:db8:aaaa::1", xff("203.0.113.7")), "203.0.113.7"],
  ["a forged entry on the left", TRUSTED, request("10.0.0.1", xff("1.1.1.1, 203.0.113.7")), "203.0.113.7"],
  ["forged entries of proxies", TRUSTED, request("10.0.0.1", xff("1.1.1.1, 10.9.9.9, 203.0.113.7")), "203.0.113.7"],
  ["two proxies", TRUSTED, request("10.0.0.1", xff("1.1.1.1, 203.0.113.7, 10.0.0.2")), "203.0.113.7"],
  ["garbage on the left", TRUSTED, request("10.0.0.1", xff('"<script>, ;;, 203.0.113.7')), "203.0.113.7"],
  ["an unbalanced quote on the left", TRUSTED, request("10.0.0.1", xff('", 203.0.113.7')), "203.0.113.7"],
  ["garbage where the proxy wrote", TRUSTED, request("10.0.0.1", xff("203.0.113.7, unknown")), undefined],
  ["an empty entry at the end", TRUSTED, request("10.0.0.1", xff("203.0.113.7, ")), "203.0.113.7"],
  ["an empty entry between", TRUSTED, request("10.0.0.1", xff("203.0.113.7, , 10.0.0.2")), "203.0.113.7"],
  ["more empty entries than anybody sends", TRUSTED, request("10.0.0.1", xff(`1.1.1.1${",".repeat(40)}`)), undefined],
  ["an empty header is none", TRUSTED, request("10.0.0.1", xff("")), "10.0.0.1"],
  ["a list of nothing is none", TRUSTED, request("10.0.0.1", xff(" , ,")), "10.0.0.1"],
  ["a proxy that says nothing is itself", TRUSTED, request("10.0.0.1"), "10.0.0.1"],
  ["an IPv6 proxy that says nothing", TRUSTED, request("2001:db8:aaaa::1"), "2001:db8:aaaa:0::/64"],
  ["a link-local proxy with a zone", { proxies: ["linklocal"] }, request("fe80::1%eth0", xff("1.1.1.1")), "1.1.1.1"],
  ["a zone in an entry", TRUSTED, request("10.0.0.1", xff("2001:db8::7%eth0")), undefined],
  ["the largest port", TRUSTED, request("10.0.0.1", xff("203.0.113.7:65535")), "203.0.113.7"],
  ["a port that is none", TRUSTED, request("10.0.0.1", xff("203.0.113.7:65536")), undefined],
  ["only proxies: the one that began it", TRUSTED, request("10.0.0.1", xff("10.0.0.3, 10.0.0.2")), "10.0.0.3"],
  ["a port", TRUSTED, request("10.0.0.1", xff("203.0.113.7:4711")), "203.0.113.7"],
  ["brackets and a port", TRUSTED, request("10.0.0.1", xff("[2001:db8::7]:4711")), "2001:db8:0:0::/64"],
  ["more hops than anybody has", TRUSTED, request("10.0.0.1", xff(`1.1.1.1${", 10.0.0.2".repeat(40)}`)), undefined],
  ["as many hops as one may name", TRUSTED, request("10.0.0.1", xff(`1.1.1.1${", 10.0.0.2".repeat(31)}`)), "1.1.1.1"],
  ["one hop more", TRUSTED, request("10.0.0.1", xff(`1.1.1.1${", 10.0.0.2".repeat(32)}`)), undefined],
  ["the same by number", { proxies: 32 }, request("9.9.9.9", xff(`1.1.1.1${", 8.8.8.8".repeat(31)}`)), "1.1.1.1"],
  ["spaces around the only address", CLOUDFLARE, request("10.0.0.1", { "cf-connecting-ip": " 1.1.1.1 " }), "1.1.1.1"],
  [
    "a header of one address with spaces only",
    CLOUDFLARE,
    request("10.0.0.1", { "cf-connecting-ip": " " }),
    "10.0.0.1",
  ],
  ["a huge header", TRUSTED, request("10.0.0.1", xff(`${"1.1.1.1, ".repeat(50_000)}203.0.113.7`)), "203.0.113.7"],
  ["one huge entry", TRUSTED, request("10.0.0.1", xff("1".repeat(1e6))), undefined],
  ["rotation within a /64", TRUSTED, request("10.0.0.1", xff("2001:db8::dead:beef")), "2001:db8:0:0::/64"],
  ["a unix socket that isn't trusted", TRUSTED, request("unix", xff("203.0.113.7")), undefined],
  ["one that is", { proxies: ["unix"] }, request("unix", xff("203.0.113.7")), "203.0.113.7"],
  ["trust in one is no trust in others", { proxies: ["unix"] }, request("10.0.0.1", xff("1.1.1.1")), "10.0.0.1"],
  ["one that says nothing", { proxies: ["unix"] }, request("unix"), "unix"],
  ["the other header is not looked at", FORWARDED, request("10.0.0.1", xff("203.0.113.7")), "10.0.0.1"],
  ["Forwarded", FORWARDED, request("10.0.0.1", forwarded("for=203.0.113.7;proto=https;by=10.0.0.1")), "203.0.113.7"],
  ["Forwarded in capitals", FORWARDED, request("10.0.0.1", forwarded("proto=http; For=203.0.113.7")), "203.0.113.7"],
  ["Forwarded IPv6", FORWARDED, request("10.0.0.1", forwarded('for="[2001:db8::7]:80"')), "2001:db8:0:0::/64"],
  ["Forwarded twice", FORWARDED, request("10.0.0.1", forwarded("for=1.1.1.1, for=203.0.113.7")), "203.0.113.7"],
  ["a forged quote", FORWARDED, request("10.0.0.1", forwarded('for="1.1.1.1, for=203.0.113.7')), "203.0.113.7"],
  [
    "a comma in quotes",
    FORWARDED,
    request("10.0.0.1", forwarded('for=203.0.113.7;by="a, for=1.1.1.1"')),
    "203.0.113.7",
  ],
  ["a for in quotes", FORWARDED, request("10.0.0.1", forwarded('by=";for=1.1.1.1;";for=203.0.113.7')), "203.0.113.7"],
  ["two fors", FORWARDED, request("10.0.0.1", forwarded("for=1.1.1.1;for=203.0.113.7")), undefined],
  ["an obfuscated name", FORWARDED, request("10.0.0.1", forwarded("for=_hidden")), undefined],
  ["no for", FORWARDED, request("10.0.0.1", forwarded("proto=https")), undefined],
  ["only a semicolon", FORWARDED, request("10.0.0.1", forwarded(";")), undefined],
  ["an empty pair", FORWARDED, request("10.0.0.1", forwarded("for=192.0.2.43;;proto=http")), "192.0.2.43"],
  ["an empty pair in front", FORWARDED, request("10.0.0.1", forwarded(";for=192.0.2.43")), "192.0.2.43"],
  ["an empty pair at the end", FORWARDED, request("10.0.0.1", forwarded("for=192.0.2.43; ")), "192.0.2.43"],
  ["an empty element", FORWARDED, request("10.0.0.1", forwarded("for=192.0.2.43, , for=10.0.0.2,")), "192.0.2.43"],
  ["a port with a made-up name", FORWARDED, request("10.0.0.1", forwarded('for="192.0.2.43:_obf"')), "192.0.2.43"],
  ["and of IPv6", FORWARDED, request("10.0.0.1", forwarded('for="[2001:db8:cafe::17]:_a.b"')), "2001:db8:cafe:0::/64"],
  ["a made-up port without a name", FORWARDED, request("10.0.0.1", forwarded('for="192.0.2.43:_"')), undefined],
  ["a quoted-pair", FORWARDED, request("10.0.0.1", forwarded('for="192.0.2.\\43"')), "192.0.2.43"],
  [
    "quoted quotes of a client's",
    FORWARDED,
    request("10.0.0.1", forwarded('for=203.0.113.7;host="x\\", for=1.1.1.1;a=\\"b"')),
    "203.0.113.7",
  ],
  ["a zone in Forwarded", FORWARDED, request("10.0.0.1", forwarded('for="[fe80::1%eth0]"')), undefined],
  ["a port in Forwarded that is none", FORWARDED, request("10.0.0.1", forwarded('for="192.0.2.43:70000"')), undefined],
  ["IPv6 as many a proxy writes it", FORWARDED, request("10.0.0.1", forwarded("for=2001:db8::7")), "2001:db8:0:0::/64"],
  ["one proxy in front, whoever it is", { proxies: 1 }, request("203.0.113.9", xff("1.1.1.1, 2.2.2.2")), "2.2.2.2"],
  ["two in front", { proxies: 2 }, request("203.0.113.9", xff("1.1.1.1, 2.2.2.2, 3.3.3.3")), "2.2.2.2"],
  ["two in front, one a nameless one", { proxies: 2 }, request("203.0.113.9", xff("2.2.2.2, unknown")), "2.2.2.2"],
  ["none in front", { proxies: 0 }, request("203.0.113.9", xff("1.1.1.1")), "203.0.113.9"],
  ["fewer than were counted", { proxies: 2 }, request("203.0.113.9", xff("1.1.1.1")), "203.0.113.9"],
  ["fewer, without the empty ones", { proxies: 2 }, request("203.0.113.9", xff("1.1.1.1, ,")), "203.0.113.9"],
  ["a counted proxy that says nothing", { proxies: 1 }, request("203.0.113.9"), "203.0.113.9"],
  ["a counted proxy of which nobody knows", { proxies: 1 }, request(undefined, xff("2.2.2.2")), "2.2.2.2"],
  ["of which nobody knows, and that says nothing", { proxies: 1 }, request(undefined), undefined],
  ["a counted proxy on a unix socket", { proxies: 1 }, request("unix", xff("2.2.2.2")), "2.2.2.2"],
  ["garbage where the counted proxy wrote", { proxies: 1 }, request("203.0.113.9", xff("1.1.1.1, x")), undefined],
  [
    "two in front by Forwarded",
    { proxies: 2, header: "forwarded" },
    request("203.0.113.9", forwarded("for=1.1.1.1, for=2.2.2.2;a=b, for=_x")),
    "2.2.2.2",
  ],
  [
    "any number in front of a header with one address",
    { proxies: 3, header: "cf-connecting-ip" },
    request("203.0.113.9", { "cf-connecting-ip": "2.2.2.2" }),
    "2.2.2.2",
  ],
  ["a header with one address that is empty", CLOUDFLARE, request("10.0.0.1", { "cf-connecting-ip": "" }), "10.0.0.1"],
  ["one trusted header", CLOUDFLARE, request("10.0.0.1", { "cf-connecting-ip": "203.0.113.7" }), "203.0.113.7"],
  ["from a stranger", CLOUDFLARE, request("203.0.113.9", { "cf-connecting-ip": "1.1.1.1" }), "203.0.113.9"],
  ["sent twice", CLOUDFLARE, request("10.0.0.1", { "cf-connecting-ip": "1.1.1.1, 203.0.113.7" }), undefined],
];

describe("the client's address", () => {
  it.each(table)("%s", (_, options, from, client) => {
    expect(clientAddress(options)(from)).toBe(client);
  });

  it("stays the one that the nearest proxy wrote, whatever is on its left", () => {
    const keys = [clientAddress(TRUSTED), clientAddress(FORWARDED)];
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (forged) => {
        const from = request("10.0.0.1", {
          ...xff(`${forged}, 203.0.113.7`),
          ...forwarded(`${forged}, for="203.0.113.7"`),
        });
        for (const key of keys) expect(key(from)).toBe("203.0.113.7");
      }),
      { seed: 5, numRuns: 2_000 },
    );
  });

  it.each([
    [{ proxies: ["10.0.0.0/99"] }, /proxies: got "10.0.0.0\/99"/],
    [{ proxies: [7] as never }, /proxies: got 7/],
    [{ proxies: ["64:ff9b:1::/48"] }, /proxies: got "64:ff9b:1::\/48", which is everybody/],
    [{ proxies: ["64:ff9b::/96"] }, /proxies: got "64:ff9b::\/96", which is everybody/],
    [{ proxies: "loopback" as never }, /proxies: got "loopback", expected an array such as \["loopback"\]/],
    [{ header: "a b" }, /header: got "a b"/],
    [{ ipv6PrefixBits: 0 }, /ipv6PrefixBits: got 0, expected a number from 1 to 128/],
    [{ trust: true } as never, /clientAddress.trust is not an option/],
  ])("is not made of %j", (options, message) => {
    expect(() => clientAddress(options)).toThrow(message);
  });
});
