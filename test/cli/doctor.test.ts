// `npx trypema doctor` as a process, on servers with which something is wrong.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Finding } from "../../src/cli/redis/examine.ts";
import { ROOT } from "../support/process.ts";
import { RedisCluster, RedisServer } from "../support/redis.ts";
import { trypema } from "./run.ts";

/** How servers say that a user lacks a right: to a client, and in a script of old and of new ones. */
const REFUSED = /NOPERM|can't run this command|no permissions/;

let server: RedisServer;
let replica: RedisServer;
let cluster: RedisCluster;
let client: Redis;

beforeAll(async () => {
  [server, cluster] = await Promise.all([RedisServer.start(), RedisCluster.start()]);
  replica = await RedisServer.start(undefined, "--replicaof", "127.0.0.1", String(server.port));
  client = new Redis(server.port);
});

afterAll(async () => {
  client.disconnect();
  await Promise.all([replica, server, cluster].map((one) => one.stop()));
});

async function examined(...args: string[]): Promise<{ findings: Finding[]; code: number | null }> {
  const { stdout, stderr, code } = await trypema(["doctor", "--json", ...args]);
  expect(stderr).toBe("");
  return { findings: JSON.parse(stdout), code };
}

/** What is wrong, but for the latency, which is that of this machine. */
function wrong(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ state, about }) => state === "wrong" && !about.startsWith("latency"));
}

const urlOf = ({ port }: { readonly port: number }) => `redis://127.0.0.1:${port}`;

describe("npx trypema doctor", () => {
  it("finds nothing wrong with a plain server, and leaves nothing there for long", async () => {
    const { findings } = await examined("--url", urlOf(server));
    expect(wrong(findings)).toEqual([]);
    const about = ["client", "version", "memory", "latency", "clock", "scripts", "rights", "rights of Hybrid"];
    expect(findings.map((finding) => finding.about)).toEqual([...about, "rights to walk"]);
    await expect.poll(() => client.keys("*")).toEqual([]);
    const printed = await trypema(["doctor", "--url", urlOf(server)]);
    expect(printed.stdout).toMatch(/^ok {5}version: \w+ \d+\.\d+/m);
    expect(printed.code).toBe(findings.some(({ state }) => state === "wrong") ? 1 : 0);
  });

  it("finds a policy that evicts", async () => {
    await client.config("SET", "maxmemory", "100mb");
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    const { findings, code } = await examined("--url", urlOf(server));
    await client.config("SET", "maxmemory", "0");
    await client.config("SET", "maxmemory-policy", "noeviction");
    expect(code).toBe(1);
    expect(wrong(findings)).toEqual([
      {
        ...{ state: "wrong", about: "memory", mend: "CONFIG SET maxmemory-policy noeviction" },
        text: expect.stringMatching(/MB of 104\.9 MB used, allkeys-lru: Redis may drop a limited key/),
      },
    ]);
  });

  it("finds the rights that a user lacks, and names those that docs/redis.md names", async () => {
    const docs = readFileSync(join(ROOT, "docs/redis.md"), "utf8");
    const [, rights = ""] = /^ACL SETUSER limits on >password ~trypema:\* (.*)$/m.exec(docs)!;
    await client.acl("SETUSER", "limits", "on", ">password", "~trypema:*", ...rights.split(" "));
    const url = `redis://limits:password@127.0.0.1:${server.port}`;
    const few = await examined("--url", url);
    expect(wrong(few.findings)).toEqual([]);
    const notes = few.findings.filter(({ state }) => state === "note");
    expect(notes.map(({ about }) => about)).toEqual(["server", "rights of Hybrid", "rights to walk"]);
    for (const right of ["+hgetall", "+scan +unlink"]) {
      expect(notes.map(({ mend }) => mend).join()).toContain(right);
      expect(docs).toContain(right);
    }
    for (const right of ["time", "mget", "lset"]) {
      await client.acl("SETUSER", "limits", `-${right}`);
      const fewer = await examined("--url", url);
      await client.acl("SETUSER", "limits", `+${right}`);
      expect(fewer.code).toBe(1);
      expect(wrong(fewer.findings)).toEqual([
        {
          ...{ state: "wrong", about: "rights", mend: `ACL SETUSER USER ~trypema:* ${rights}` },
          text: expect.stringMatching(REFUSED),
        },
      ]);
    }
    await client.acl("SETUSER", "limits", "+scan", "+hget", "+hgetall", "+hset", "+hdel");
    const withoutUnlink = await examined("--url", url);
    expect(withoutUnlink.findings.find(({ about }) => about === "rights to walk")).toMatchObject({
      ...{ state: "note", mend: expect.stringContaining("+unlink"), text: expect.stringMatching(REFUSED) },
    });
    await client.acl("SETUSER", "limits", "+unlink");
    const all = await examined("--url", url);
    expect(all.findings.filter(({ about }) => about.startsWith("rights")).map(({ state }) => state)).toEqual([
      ...["ok", "ok", "ok"],
    ]);
    await client.acl("DELUSER", "limits");
  });

  it("finds a replica, and a node of a Cluster that is taken for a server", async () => {
    const ofReplica = await examined("--url", urlOf(replica));
    expect(ofReplica.code).toBe(1);
    expect(wrong(ofReplica.findings).map(({ about }) => about)).toEqual(["role", "rights"]);
    const ofNode = await examined("--url", urlOf(cluster.servers[0]!));
    expect(wrong(ofNode.findings)[0]).toMatchObject({ about: "Cluster", mend: expect.stringContaining("--cluster") });
  });

  it("looks at each master of a Cluster", async () => {
    const { findings } = await examined("--cluster", "--url", urlOf(cluster.servers[0]!));
    expect(wrong(findings)).toEqual([]);
    expect(findings.filter(({ about }) => about.startsWith("version (127.0.0.1:")).length).toBeGreaterThan(1);
  });
});
