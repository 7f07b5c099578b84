import { createLocalProvider, perMinute } from "trypema";
import { expect, it } from "vitest";
import { clientAddress } from "./client-address.ts";
import { Guard } from "./guard.ts";

/** The statuses of two requests of a peer, with what its header says. */
async function statuses(guard: Guard<unknown>, peerAddress: string, header?: string): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < 2; i++) {
    const { answer } = await guard.check({ raw: {}, method: "GET", path: "/", peerAddress, header: () => header });
    all.push(answer?.status ?? 200);
  }
  return all;
}

it("allows nobody for the address of a trusted proxy that doesn't name the client", async () => {
  const shared = { provider: createLocalProvider(), rate: perMinute(1), allow: ["private"], onNotice: false } as const;
  const count = new Guard({ ...shared, name: "count", key: clientAddress({ proxies: 2 }) });
  expect(await statuses(count, "10.0.0.1", "203.0.113.7")).toEqual([200, 429]);
  const list = new Guard({ ...shared, name: "list", key: clientAddress({ proxies: ["private"] }) });
  expect(await statuses(list, "10.0.0.1")).toEqual([200, 429]);
  expect(await statuses(list, "10.0.0.1", "10.0.0.9")).toEqual([200, 200]);
  const named = new Guard({ ...shared, name: "named", key: clientAddress({ proxies: ["10.0.0.1"] }) });
  expect(await statuses(named, "10.0.0.2")).toEqual([200, 200]);
});

it("allows peers of a unix socket where it names them, but not who comes through a proxy there", async () => {
  const shared = { provider: createLocalProvider(), rate: perMinute(1), onNotice: false } as const;
  const peers = new Guard({ ...shared, name: "peers", key: clientAddress(), allow: ["unix"] });
  expect(await statuses(peers, "unix")).toEqual([200, 200]);
  expect(await statuses(peers, "203.0.113.7")).toEqual([200, 429]);
  const others = new Guard({ ...shared, name: "others", key: clientAddress(), allow: ["private"] });
  expect(await statuses(others, "unix")).toEqual([400, 400]);
  const proxy = new Guard({ ...shared, name: "proxy", key: clientAddress({ proxies: ["unix"] }), allow: ["unix"] });
  expect(await statuses(proxy, "unix")).toEqual([200, 429]);
  expect(await statuses(proxy, "unix", "203.0.113.7")).toEqual([200, 429]);
});
