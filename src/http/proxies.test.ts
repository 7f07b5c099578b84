import { describe, expect, it } from "vitest";
import { parseAddress } from "./address.ts";
import { checkedProxies } from "./proxies.ts";

const trusts = (proxies: readonly string[], address: string) =>
  checkedProxies(proxies)?.trusts(parseAddress(address)!) === true;

describe("proxies", () => {
  it("are nobody when none is named, and as many as there are when they are counted", () => {
    expect(checkedProxies([])).toBeUndefined();
    expect(checkedProxies(0)).toBeUndefined();
    expect(checkedProxies(2)).toMatchObject({ hops: 2 });
    expect(checkedProxies(32)).toMatchObject({ hops: 32 });
  });

  it.each([
    ["loopback", ["127.0.0.1", "127.255.255.255", "::1"], ["128.0.0.1", "::2", "10.0.0.1"]],
    ["linklocal", ["169.254.1.1", "fe80::1"], ["169.255.0.0", "fec0::1", "127.0.0.1"]],
    ["uniquelocal", ["10.1.2.3", "172.31.0.1", "192.168.0.1", "fd00::1"], ["172.32.0.1", "127.0.0.1", "fe80::1"]],
    [
      "private",
      ["127.0.0.1", "::1", "169.254.1.1", "10.1.2.3", "fd00::1"],
      ["100.64.0.1", "203.0.113.7", "2001:db8::1"],
    ],
  ])("may be named %s", (name, inside, outside) => {
    for (const address of inside) expect([address, trusts([name], address)]).toEqual([address, true]);
    for (const address of outside) expect([address, trusts([name], address)]).toEqual([address, false]);
  });

  it("may be one of NAT64's addresses for local use", () => {
    expect(trusts(["64:ff9b:1::a00:1"], "64:ff9b:1::a00:1")).toBe(true);
    expect(trusts(["64:ff9b:1::/97"], "64:ff9b:1::a00:1")).toBe(true);
  });

  it("may be named in a mixture of ways", () => {
    const mixture = ["loopback", "203.0.113.0/24", "2001:db8::/32", "unix"];
    expect(["127.0.0.1", "203.0.113.9", "2001:db8::1", "::1"].every((each) => trusts(mixture, each))).toBe(true);
    expect(trusts(mixture, "10.0.0.1")).toBe(false);
    expect(checkedProxies(mixture)).toMatchObject({ trustsUnix: true });
    expect(checkedProxies(["loopback"])).toMatchObject({ trustsUnix: false });
  });

  it.each([
    ["10.0.0.5/8", 'write "10.0.0.0/8"'],
    ["127.0.0.1/8", 'write "127.0.0.0/8"'],
    ["2001:db8::1/32", 'write "2001:db8::/32"'],
    ["10.0.0.1:8080", 'write "10.0.0.1"'],
    ["[2001:db8::1]:443", 'write "2001:db8::1"'],
    ["[::1]", 'write "::1"'],
    ["fe80::1%eth0", 'write "fe80::1"'],
    ["010.000.0.01", 'write "10.0.0.1"'],
    ["010.0.0.0/08", 'write "10.0.0.0/8"'],
    [" 10.0.0.0/8 ", 'write "10.0.0.0/8"'],
    ["10.0.0.0/255.0.0.0", 'write "10.0.0.0/8"'],
    ["::ffff:10.0.0.1", 'write "10.0.0.1"'],
    ["::ffff:10.0.0.0/104", 'write "10.0.0.0/8"'],
    ["0:0:0:0:0:ffff:10.0.0.0/104", 'write "10.0.0.0/8"'],
    ["64:ff9b::a00:0/104", 'write "10.0.0.0/8"'],
    ["64:ff9b::/96", "which is everybody"],
    ["64:ff9b::/32", "which is everybody"],
    ["64:ff9b:1::/48", "which is everybody"],
    ["64:ff9b:1:7::/96", "which is everybody"],
    ["64:ff9b:1:ffff::/64", "which is everybody"],
    ["::ffff:0:0/96", "which is everybody"],
    ["::/8", "which is everybody"],
    ["::/0", "which is everybody"],
    ["0.0.0.0/0", "which is everybody"],
    ["2000::/3", "which is everybody"],
    ["2000::/2", "which is everybody"],
    ["10.0.0.1/0", "which is everybody"],
    ["10.0.0.0/0.0.0.0", "which is everybody"],
    ["10.0.0.1/255.255.255.255", 'write "10.0.0.1"'],
    ["10.0.0.0/255.127.0.0", 'expected networks such as "10.0.0.0/8"'],
    ["10.0.0.0/255.0.255.0", 'expected networks such as "10.0.0.0/8"'],
    ["10.0.0.0/33", "or a number of proxies in place of the array"],
    ["10.*", '"loopback", "linklocal", "uniquelocal", "private", "unix"'],
    ["Loopback", '"loopback"'],
    ["10.0.0.0/8, 192.168.0.0/16", "expected networks"],
    ["constructor", "expected networks"],
    ["http://10.0.0.1", "expected networks"],
    ["", "expected networks"],
    [7, "got 7, expected networks"],
    [Object.create(null), "got an object, expected networks"],
  ])("are not %j: the message says %s", (proxy, message) => {
    const made = () => checkedProxies(["10.0.0.0/8", proxy]);
    expect(made).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
    expect(made).toThrow(message);
    const advised = /^write "(.+)"$/.exec(message)?.[1];
    if (advised !== undefined) expect(checkedProxies([advised])).toBeDefined();
  });

  it.each([
    [["0.0.0.0/1", "128.0.0.0/1"]],
    [["128.0.0.0/1", "unix", "private", "0.0.0.0/2", "64.0.0.0/2"]],
    [["2000::/4", "10.0.0.0/8", "3000::/4"]],
    [Array.from({ length: 256 }, (_, i) => `${i}.0.0.0/8`)],
    [Array.from({ length: 8_192 }, (_, i) => `${(0x2000 + i).toString(16)}::/16`)],
  ])("are not networks that everybody is in together: %j", (proxies) => {
    const message = /^proxies: got networks that together are everybody, so that each client could choose its key/;
    expect(() => checkedProxies(proxies)).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
    expect(() => checkedProxies(proxies)).toThrow(message);
    expect(checkedProxies(proxies.slice(1))).toBeDefined();
  });

  it.each([
    [true, /got true, expected an array such as \["10.0.0.0\/8"\], or how many proxies are in front, 0 to 32/],
    ["", /got "", expected an array such as \["10.0.0.0\/8"\], or how many/],
    ["1", /got "1", expected an array such as \["10.0.0.0\/8"\], or how many/],
    ["loopback", /got "loopback", expected an array such as \["loopback"\]/],
    [-1, /got -1/],
    [0.5, /got 0.5/],
    [33, /got 33/],
    [Number.NaN, /got NaN/],
    [null, /got null/],
    [{}, /got an object/],
  ])("are not %j instead of an array", (proxies, message) => {
    expect(() => checkedProxies(proxies)).toThrow(message);
  });
});
