// Every example of the documentation is compiled and run, and prints what its comments say.

import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HANG_MS, ROOT } from "./support/process.ts";
import { RedisCluster, RedisServer } from "./support/redis.ts";

const run = promisify(execFile);

interface Example {
  readonly name: string;
  readonly code: string;
}

function examplesOf(file: string): Example[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => {
    const line = text.slice(0, match.index).split("\n").length;
    return { name: `${file.replaceAll(/\W/g, "-")}-${line}`, code: match[1]! };
  });
}

/** What `console.log(…); // this` promises, line by line. */
function promisedOutput(code: string): string[] {
  return [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map((match) => match[1]!);
}

/** On a busy machine even a Redis that is there may take longer than 200 ms, and the policy would decide. */
function patient(code: string): string {
  return code.replaceAll(/create(?:Redis|Hybrid)Provider\(client, \{/g, "$& timeoutMs: 30_000,");
}

const guide = readdirSync(join(ROOT, "docs")).filter((file) => file.endsWith(".md"));
const documents = ["README.md", "CONTRIBUTING.md", ...guide.map((file) => `docs/${file}`), "docs/frameworks/README.md"];
/** Of these the code is run by `npm run test:frameworks`. */
const recipes = readdirSync(join(ROOT, "docs", "frameworks")).map((file) => `docs/frameworks/${file}`);
const examples = documents.flatMap(examplesOf);
const folder = join(ROOT, ".build", "examples");

let redis: RedisServer;
let cluster: RedisCluster;
let sentinel: RedisServer;

describe("the documentation's examples", () => {
  beforeAll(async () => {
    [redis, cluster] = await Promise.all([RedisServer.start(), RedisCluster.start()]);
    sentinel = await RedisServer.startSentinel("limits", redis.port);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    for (const { name, code } of examples) writeFileSync(join(folder, `${name}.ts`), patient(code));
    const compilerOptions = {
      noEmit: false,
      noUnusedLocals: false,
      noPropertyAccessFromIndexSignature: false,
      rewriteRelativeImportExtensions: true,
    };
    const config = { extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    await run("npx", ["tsc", "-p", folder], { cwd: ROOT }).catch((error) => {
      throw new Error(error.stdout);
    });
  });

  afterAll(async () => {
    await Promise.all([redis, cluster, sentinel].map((server) => server.stop()));
  });

  it.each(examples)("$name", async ({ name, code }) => {
    const { stdout, stderr } = await run(process.execPath, [join(folder, `${name}.js`)], {
      timeout: HANG_MS,
      env: {
        ...process.env,
        REDIS_URL: `redis://127.0.0.1:${redis.port}`,
        CLUSTER_URL: `redis://127.0.0.1:${cluster.servers[0]!.port}`,
        SENTINEL_PORT: String(sentinel.port),
      },
    });
    // Where an example takes Redis away, the provider warns that its failure policy decides.
    const isAway = code.includes('.redis = "down"');
    expect(isAway ? stderr.replaceAll(/^.*(\[DEGRADED\]|--trace-warnings).*\n/gm, "") : stderr).toBe("");
    const lines = stdout.split("\n").slice(0, -1);
    const promised = promisedOutput(code);
    if (promised.length > 0) expect(lines).toEqual(promised);
  });

  it("are all found", () => {
    const fences = documents.map((file) => readFileSync(join(ROOT, file), "utf8").split("```ts").length - 1);
    expect(examples.length).toBe(fences.reduce((sum, count) => sum + count));
    expect(examples.length).toBeGreaterThan(0);
  });
});

describe("the documentation's links", () => {
  it.each([...new Set([...documents, ...recipes])])("%s", (file) => {
    const text = readFileSync(join(ROOT, file), "utf8");
    for (const [, target] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target!)) continue;
      expect(existsSync(join(ROOT, file, "..", target!)), target).toBe(true);
    }
  });
});
