// Which error is about a key, and which about Redis as a whole: the second kind opens the breaker.

import { Redis } from "ioredis";
import { perSecond } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { failureOf } from "../support/failing.ts";
import { startServer } from "../support/use-redis.ts";

const RATE = perSecond(1);
const SHA = "104ae65debf45156ded1e8e613705534c8e62c17";

async function connectToServer(...args: string[]) {
  const { port } = await startServer(undefined, ...args);
  return connect(port);
}

function connect(port: number, settings: object = {}) {
  const client = new Redis({ port, enableReadyCheck: false, ...settings });
  client.on("error", () => {});
  onTestFinished(() => client.disconnect());
  return client;
}

/** The errors of seven calls in turn, of which five open the breaker. */
async function failuresOf(client: Redis, key = "k") {
  const { absolute } = createRedisProvider(client, { timeoutMs: 10_000 });
  const failures = [];
  for (let call = 0; call < 7; call++) failures.push(await failureOf(absolute.inc(key, RATE)));
  return failures;
}

const OUT = /^Redis failed at least 5 times in a row/;

async function expectOut(client: Redis, message: RegExp, key?: string): Promise<void> {
  const failures = await failuresOf(client, key);
  expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(["BACKEND_UNAVAILABLE"]));
  for (const failure of failures.slice(0, 5)) expect(failure.message).toMatch(message);
  for (const failure of failures.slice(5)) expect(failure.message).toMatch(OUT);
}

it("a user without a right that the scripts need finds Redis unavailable", async () => {
  const admin = await connectToServer();
  await admin.acl("SETUSER", "limits", "on", ">secret", "~trypema:*", "+evalsha", "+eval", "+get", "+set");
  const { port } = admin.options;
  await expectOut(connect(port!, { username: "limits", password: "secret" }), /can't run|ACL failure|permissions/);
});

it("a server without TIME is unavailable", async () => {
  await expectOut(await connectToServer("--rename-command", "TIME", ""), /nknown (Redis )?command called from/);
});

it("a server without EVALSHA is unavailable, whatever the text of the key", async () => {
  const client = await connectToServer("--rename-command", "EVALSHA", "");
  const forged = `script: ${SHA}, on @user_script:1.`;
  for (const key of ["subscription-1", "script", forged, `ERR Error running script (call to f_${SHA}): `]) {
    await expectOut(client, /unknown command/, key);
  }
});

describe.each([
  ["since 7", (reason: string) => `${reason} script: ${SHA}, on @user_script:8.`],
  ["as Valkey 9.1", (reason: string) => `${reason} script: on @user_script:8.`],
  [
    "before 7",
    (reason: string) => `ERR Error running script (call to f_${SHA}): @user_script:8: ${reason.replace(/^ERR /, "")}`,
  ],
])("an error inside a script, as Redis tells it %s", (version, wrap) => {
  it.each([
    ["ERR @user_script: 8: Unknown Redis command called from Lua script", "BACKEND_UNAVAILABLE"],
    ["ERR Unknown Redis command called from script", "BACKEND_UNAVAILABLE"],
    ["ERR Unknown command called from script", "BACKEND_UNAVAILABLE"],
    ["ERR This Redis command is not allowed from script", "BACKEND_UNAVAILABLE"],
    ["ERR @user_script: 8: The user executing the script can't run this command or subcommand", "BACKEND_UNAVAILABLE"],
    ["ERR ACL failure in script: User u has no permissions to run the 'time' command", "BACKEND_UNAVAILABLE"],
    ["ERR user_script:8: Script attempted to access nonexistent global variable 'struct'", "BACKEND_UNAVAILABLE"],
    ["ERR Script attempted to access a non local key in a cluster node", "BACKEND_UNAVAILABLE"],
    ["ERR syntax error", "BACKEND_UNAVAILABLE"],
    ["ERR user_script:8: bad argument #2 to 'unpack' (data string too short)", "BACKEND_SCRIPT"],
    ["ERR user_script:8: attempt to perform arithmetic on local 'total' (a nil value)", "BACKEND_SCRIPT"],
    ["ERR user_script:8: Bad data format in input.", "BACKEND_SCRIPT"],
    ["WRONGTYPE Operation against a key holding the wrong kind of value", "BACKEND_SCRIPT"],
  ])("%s: %s", async (reason, code) => {
    await expectCode(wrap(reason), code);
  });

  if (version === "before 7") {
    it.each([
      ["@user_script: 8: -OOM command not allowed when used memory > 'maxmemory'.", "BACKEND_UNAVAILABLE"],
      ["@user_script: 8: -READONLY You can't write against a read only replica.", "BACKEND_UNAVAILABLE"],
    ])("%s: %s", async (reason, code) => {
      await expectCode(wrap(reason), code);
    });
  }
});

it.each([
  ["OOM command not allowed when used memory > 'maxmemory'. script: x, on @user_script:8.", "BACKEND_UNAVAILABLE"],
  ["BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "BACKEND_UNAVAILABLE"],
  ["ERR Error compiling script (new function): user_script:1: ')' expected near '<eof>'", "BACKEND_UNAVAILABLE"],
  ["NOPERM this user has no permissions to access one of the keys used as arguments", "BACKEND_UNAVAILABLE"],
])("%s: %s", async (message, code) => {
  await expectCode(message.replace("script: x", `script: ${SHA}`), code);
});

async function expectCode(message: string, code: string): Promise<void> {
  const refuse = () => Promise.reject(new Error(message));
  const { absolute } = createRedisProvider({ sendCommand: refuse });
  const section = `node_modules/trypema/docs/errors.md#${code.toLowerCase()}`;
  const failure = await failureOf(absolute.inc("k", RATE));
  expect(failure).toMatchObject({ code, message: `Redis: ${message} (${section})` });
}
