// Every example runs, and does what its README line says.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, expect, it } from "vitest";
import { ROOT } from "../test/support/process.ts";
import { RedisServer } from "../test/support/redis.ts";

/** Where `npm run check:types`, and this test, compile the examples to: Node 20 doesn't run TypeScript. */
const programs = join(ROOT, ".build", "programs");

const children: ChildProcess[] = [];

beforeAll(async () => {
  const compiled = promisify(execFile)("npx", ["tsc", "-p", "examples"], { cwd: ROOT });
  await compiled.catch((error) => Promise.reject(new Error(error.stdout)));
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill();
});

/** Starts an example and returns what sends it a request. */
async function run(name: string, env: Record<string, string> = {}) {
  const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
  const child = spawn(process.execPath, [join(programs, name, "main.js")], {
    cwd: ROOT,
    env: { ...process.env, PORT: "0", ...env },
    stdio,
  });
  children.push(child);
  const [line] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  const [, url] = /^listening on (\S+)/.exec(line)!;
  return (path: string, init: RequestInit = {}) => fetch(`${url}${path}`, init);
}

async function statuses(count: number, send: () => Promise<Response>): Promise<number[]> {
  const seen: number[] = [];
  for (let i = 0; i < count; i++) seen.push((await send()).status);
  return seen;
}

const times = (count: number, status: number) => new Array<number>(count).fill(status);

it("express", async () => {
  const send = await run("express");
  expect(await statuses(61, () => send("/"))).toEqual([...times(60, 200), 429]);
});

it("fastify", async () => {
  const send = await run("fastify");
  const withKey = (key: string) => () => send("/", { headers: { "x-api-key": key } });
  const pro = await Promise.all(Array.from({ length: 50 }, withKey("pro-key")));
  expect(pro.map(({ status }) => status)).toEqual(times(50, 200));
  const free = await Promise.all(Array.from({ length: 60 }, withKey("free-key")));
  const denied = free.filter(({ status }) => status === 429);
  // What the second denies doesn't count for the day.
  expect(denied.length).toBeGreaterThan(0);
  const admitted = 60 - denied.length;
  for (const { headers } of denied) {
    const [, left] = /"day";r=(\d+)/.exec(headers.get("ratelimit")!)!;
    expect(Number(left)).toBeGreaterThanOrEqual(1_000 - admitted);
  }
  expect(await statuses(1, withKey("made-up"))).toEqual([401]);
});

it("login", async () => {
  const redis = await RedisServer.start();
  try {
    const send = await run("login", { REDIS_URL: `redis://127.0.0.1:${redis.port}` });
    const headers = { "content-type": "application/json" };
    const login = (user: string, password: string) => () =>
      send("/login", { method: "POST", headers, body: JSON.stringify({ user, password }) });
    expect(await statuses(10, login("ann", "secret"))).toEqual(times(10, 200));
    expect(await statuses(6, login("ann", "wrong"))).toEqual([...times(5, 401), 429]);
    const blocked = await login("ann", "secret")();
    expect(blocked.status).toBe(429);
    expect(Number(blocked.headers.get("retry-after"))).toBeGreaterThan(3_500);
    expect(await blocked.json()).toMatchObject({ type: expect.stringMatching(/#abnormal-usage-detected$/) });
    expect(await statuses(1, login("bob", "wrong"))).toEqual([401]);
    // What a client sends never makes the server fail.
    for (const body of ['{"user":{"toString":1}}', '{"user":["ann"]}', '{"user":7}', '{"user":""}', "{}", "[]", "{"]) {
      expect((await send("/login", { method: "POST", headers, body })).status, body).toBe(400);
    }
    expect((await send("/login", { method: "POST" })).status).toBe(400);
    await redis.stop();
    expect(await statuses(2, login("bob", "right"))).toEqual([503, 503]);
  } finally {
    await redis.stop();
  }
});

it("login takes the user's name from a request as the README does", () => {
  const lineIn = (file: string) => /^const user: .*$/m.exec(readFileSync(join(ROOT, file), "utf8"))![0];
  expect(lineIn("examples/login/main.ts")).toBe(lineIn("README.md"));
});

it("llm-tokens", async () => {
  const send = await run("llm-tokens");
  const chat = (user: string, length: number) => () =>
    send("/chat", { method: "POST", headers: { "x-user": user }, body: "x".repeat(length) });
  expect(await statuses(21, chat("ann", 10))).toEqual([...times(20, 200), 429]);
  expect(await statuses(6, chat("bob", 1_000))).toEqual([...times(5, 200), 429]);
  expect((await chat("bob", 1_000)()).headers.get("ratelimit")).toMatch(/^"requests";r=15, "tokens";r=0;t=\d+$/);
});

it("shadow", async () => {
  const send = await run("shadow");
  expect(await statuses(5, () => send("/"))).toEqual(times(5, 200));
  expect(await (await send("/metrics")).text()).toContain(
    'decisions_total{limiter="to-be",strategy="absolute",outcome="rejected",admitted="true",shadow="true",degraded="false"} 3',
  );
});

it("behind-proxy", async () => {
  const send = await run("behind-proxy");
  const from = (forwarded: string) => () => send("/", { headers: { "x-forwarded-for": forwarded } });
  let forged = 0;
  expect(await statuses(61, () => from(`10.0.0.${forged++}, 203.0.113.7`)())).toEqual([...times(60, 200), 429]);
  expect(await statuses(1, from("203.0.113.8"))).toEqual([200]);
});

it("hono-worker", async () => {
  const { default: worker } = await import(join(programs, "hono-worker", "main.js"));
  const from = (address: string) => () =>
    worker.fetch(new Request("http://localhost", { headers: { "cf-connecting-ip": address } }));
  expect(await statuses(61, from("2001:db8::1"))).toEqual([...times(60, 200), 429]);
  expect(await statuses(1, from("2001:db8::2"))).toEqual([429]);
  expect(await statuses(1, from("2001:db8:0:1::2"))).toEqual([200]);
});

/** Examples that are run as the recipes of docs/frameworks: their files, and where the same files are run. */
const RECIPES = [
  ["next", "next", ["proxy.ts", "app/page.tsx", "app/layout.tsx", "app/actions.ts", "app/answer/route.ts"]],
  ["next", "next", ["app/api/hello/route.ts"]],
  ["nest", "nestjs", ["app/app.ts", "app/main.ts"]],
] as const;

it.each(RECIPES)("%s is the recipe that test:frameworks runs", (name, project, files) => {
  for (const file of files) {
    const recipe = readFileSync(join(ROOT, "test", "frameworks", project, file), "utf8");
    expect(readFileSync(join(ROOT, "examples", name, file), "utf8"), file).toBe(recipe);
  }
});

const STARTS: Readonly<Record<string, string>> = {
  "hono-worker": "wrangler dev",
  next: "next build && next start",
  nest: "tsc && node dist/main.js",
};
/** What a framework needs beside what the code imports. */
const BESIDES: Readonly<Record<string, readonly string[]>> = {
  next: ["react-dom"],
  nest: ["@nestjs/platform-express", "rxjs"],
};

it("each has a line in the README, and all that a template needs", () => {
  const examples = readdirSync(join(ROOT, "examples"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const readme = readFileSync(join(ROOT, "examples", "README.md"), "utf8");
  expect(examples).toHaveLength(9);
  for (const { name } of examples) {
    const [, main] = new RegExp(`\\[${name}\\]\\(${name}/(\\S+)\\) \\| \\w`).exec(readme) ?? [];
    expect(main, name).toBeDefined();
    const folder = join(ROOT, "examples", name);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const code = readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((file) => /\.tsx?$/.test(file) && !file.includes("node_modules"))
      .map((file) => readFileSync(join(folder, file), "utf8"))
      .join("\n");
    const imported = [...code.matchAll(/(?:from|import) "((?:@[^/"]+\/)?[^/:."]+)(?:\/[^"]*)?"/g)].map(
      (match) => match[1],
    );
    const needed = [...imported, ...(BESIDES[name] ?? [])];
    expect(Object.keys(manifest.dependencies).sort(), name).toEqual([...new Set(needed)].sort());
    expect(manifest.scripts.start).toBe(STARTS[name] ?? "node main.ts");
    expect(JSON.parse(readFileSync(join(folder, "tsconfig.json"), "utf8")).compilerOptions.strict, name).toBe(true);
  }
});
