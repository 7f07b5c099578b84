// What a process sees of a provider: nothing that it has to clean up. Real processes, since a test
// runner's own handles and references would hide what is kept alive.

import { expect, it } from "vitest";
import { runScript } from "../support/built.ts";

it("a script that only makes a provider and one call ends by itself", async () => {
  const { stdout, stderr } = await runScript(`
    import { createLocalProvider, perSecond } from "trypema";
    process.on("exit", () => console.log("uptime", process.uptime() < 25 ? "short" : "long"));
    console.log(createLocalProvider().absolute.inc("k", perSecond(1)).allowed);
  `);
  // The cleanup timer is due after 30 s: a process that it held would live as long.
  expect(stdout).toBe("true\nuptime short\n");
  expect(stderr).toBe("");
});

it("nothing is started at import or construction, and one timer by the first key", async () => {
  const { stdout } = await runScript(`
    const timers = [];
    for (const name of ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"]) {
      const original = globalThis[name];
      globalThis[name] = (...args) => (timers.push(name), original(...args));
    }
    const { createLocalProvider, perSecond } = await import("trypema");
    const limiter = createLocalProvider();
    limiter.absolute.get("k");
    limiter.absolute.isAllowed("k");
    console.log(timers.length);
    for (let i = 0; i < 1000; i++) limiter.absolute.inc("k" + i, perSecond(1));
    for (let i = 0; i < 1000; i++) limiter.suppressed.inc("k" + i, perSecond(1), 99);
    await null;
    console.log(timers.join());
  `);
  expect(stdout).toBe("0\nsetTimeout\n");
});

const COLLECTION = `
  import { setTimeout as sleep } from "node:timers/promises";
  async function collected(ref) {
    for (let i = 0; i < 200 && ref.deref() !== undefined; i++) {
      await sleep(5);
      gc();
    }
    return ref.deref() === undefined;
  }
`;

it("a dropped provider is collected, and its timer ends with its next turn", async () => {
  const { stdout } = await runScript(
    `
    import { createLocalProvider, perSecond } from "trypema";
    ${COLLECTION}
    let fired = 0;
    const original = globalThis.setTimeout;
    globalThis.setTimeout = (run, ms, ...rest) => original(() => { fired++; run(); }, ms, ...rest);
    let limiter = createLocalProvider({ windowMs: 3_600_000, cleanup: { intervalMs: 50 } });
    const refs = [new WeakRef(limiter), new WeakRef(limiter.absolute), new WeakRef(limiter.suppressed)];
    for (let i = 0; i < 1000; i++) limiter.absolute.inc("k" + i, perSecond(1));
    limiter = undefined;
    for (const ref of refs) console.log(await collected(ref));
    await sleep(200);
    const before = fired;
    await sleep(300);
    console.log(fired - before);
    `,
    ["--expose-gc"],
  );
  expect(stdout).toBe("true\ntrue\ntrue\n0\n");
});

it("the timer stops when no key is left, starts with the next one, and stops for good on close", async () => {
  const { stdout } = await runScript(`
    import { createLocalProvider, perSecond } from "trypema";
    import { setTimeout as sleep } from "node:timers/promises";
    let pending = 0;
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    globalThis.setTimeout = (run, ms) => (pending++, set(() => { pending--; run(); }, ms));
    globalThis.clearTimeout = (timer) => (timer && pending--, clear(timer));
    const until = async (condition) => { while (!condition()) await sleep(5); };
    let now = 0;
    const limiter = createLocalProvider({ windowMs: 1000, clock: () => now, cleanup: { intervalMs: 10 } });
    limiter.absolute.inc("a", perSecond(1));
    await null;
    console.log("after a key", pending);
    now = 1000;
    await until(() => pending === 0);
    console.log("after its sweep", pending);
    limiter.suppressed.inc("b", perSecond(1));
    await null;
    console.log("after another key", pending);
    limiter.close();
    limiter.close();
    console.log("after close", pending);
    limiter.absolute.inc("c", perSecond(1));
    await null;
    console.log("limits go on", limiter.absolute.inc("c", perSecond(1)).allowed, pending);
  `);
  expect(stdout.trim().split("\n")).toEqual([
    "after a key 1",
    "after its sweep 0",
    "after another key 1",
    "after close 0",
    "limits go on false 0",
  ]);
});

it("without WeakRef it limits and sweeps as ever, and a dropped provider is collected once its keys are stale", async () => {
  const { stdout } = await runScript(
    `
    const { WeakRef } = globalThis;
    delete globalThis.WeakRef;
    delete globalThis.FinalizationRegistry;
    const { createLocalProvider, perSecond } = await import("trypema");
    ${COLLECTION}
    let now = 0;
    let limiter = createLocalProvider({ windowMs: 1000, clock: () => now, cleanup: { intervalMs: 5 } });
    console.log(limiter.absolute.inc("k", perSecond(1)).allowed, limiter.absolute.inc("k", perSecond(1)).allowed);
    const ref = new WeakRef(limiter.absolute);
    limiter = undefined;
    now = 1000;
    console.log(await collected(ref));
    `,
    ["--expose-gc"],
  );
  expect(stdout).toBe("true false\ntrue\n");
});

it("the timer holds nothing of the request that brought the first key", async () => {
  const { stdout } = await runScript(
    `${COLLECTION}
    import { AsyncLocalStorage } from "node:async_hooks";
    import { createLocalProvider, perSecond } from "trypema";
    const storage = new AsyncLocalStorage();
    const limiter = createLocalProvider();
    let request = { body: "large" };
    const ref = new WeakRef(request);
    storage.run(request, () => limiter.absolute.inc("k", perSecond(1)));
    request = undefined;
    console.log(await collected(ref), limiter.absolute.get("k").total);
    `,
    ["--expose-gc"],
  );
  expect(stdout).toBe("true 1\n");
});
