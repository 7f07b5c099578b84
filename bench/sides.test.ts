// A benchmark that checks what was admitted does so on a slow machine too. That of logs checks that all lines are read.

import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { ROOT } from "../test/support/process.ts";

/** Time passes three hundred times faster, so that what a machine does in it is that much less. */
const SLOW_MACHINE = `
  const { setTimeout: set } = globalThis;
  const [now, date] = [performance.now.bind(performance), Date.now];
  const begin = date();
  performance.now = () => now() * 300;
  Date.now = () => begin + (date() - begin) * 300;
  globalThis.setTimeout = (run, ms, ...rest) => set(run, ms / 300, ...rest);
`;

const program = join(ROOT, ".build", "bench", "sides.js");
const execArgv = ["--import", `data:text/javascript,${encodeURIComponent(SLOW_MACHINE)}`];
it.each([
  "absolute, admitted",
  "absolute, admitted, with onEvent",
  "absolute, rejected",
  "suppressed, under the limit",
  "suppressed, over the limit",
  "a take of three limits, admitted",
  "a guard of trypema/http, admitted",
  "throttlerStorage of trypema/nestjs, admitted",
  "express-rate-limit MemoryStore",
  "rate-limiter-flexible, admitted",
  "rate-limiter-flexible, rejected",
])("%s admits what it should in a turn, however slow the machine is", async (side) => {
  const child = fork(program, [side, "100"], { execArgv });
  onTestFinished(() => void child.kill());
  const ended = once(child, "exit").then(([code]) => `ended with ${code}`);
  expect(await Promise.race([once(child, "message"), ended])).toEqual(["ready", undefined]);
  child.send(1);
  const [nanoseconds] = await Promise.race([once(child, "message"), ended]);
  expect(nanoseconds).toBeGreaterThan(0);
});

it("bench:size reads each kind of log to its end", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, ".build", "bench", "size.js"), "500"]);
  expect(stdout.match(/^\| (combined|the first|JSON)/gm)).toHaveLength(4);
});
