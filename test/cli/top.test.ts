// `npx trypema top` on a terminal, which it has to leave as it was. The terminal is a false one.

import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { perMinute } from "trypema";
import { createRedisProvider } from "trypema/redis";
import { describe, expect, it } from "vitest";
import { top } from "../../src/cli/redis/top.ts";
import { RedisServer } from "../support/redis.ts";
import { useRedis } from "../support/use-redis.ts";

const redis = useRedis();

class Terminal extends PassThrough {
  readonly isTTY = true;
  readonly columns = 60;
  readonly rows = 8;
  readonly modes: boolean[] = [];
  shown = "";

  constructor() {
    super();
    this.on("data", (chunk) => {
      this.shown += chunk;
    });
  }

  setRawMode(isRaw: boolean): void {
    this.modes.push(isRaw);
  }
}

const signals = () => ["SIGINT", "SIGTERM"].map((signal) => process.listenerCount(signal));

describe("npx trypema top on a terminal", () => {
  it.each([
    ["q", (input: Terminal) => input.write("q")],
    ["Ctrl-C as a key", (input: Terminal) => input.write("\u0003")],
    ["SIGTERM", () => process.emit("SIGTERM")],
    ["the end of its input", (input: Terminal) => input.end()],
  ])("draws again and again until %s, and leaves the terminal as it was", async (_, leave) => {
    const { absolute } = createRedisProvider(redis.client, { timeoutMs: 30_000 });
    await absolute.inc(`a key with a name that is longer than this terminal is wide`, perMinute(10), 4);
    const [input, output] = [new Terminal(), new Terminal()];
    const before = signals();
    const url = `redis://127.0.0.1:${redis.client.options.port}`;
    const ended = top.run(["--url", url, "--every", "1ms"], { stdin: input, stdout: output, stderr: new Terminal() });
    await expect.poll(() => output.shown.split("\u001b[2J").length).toBeGreaterThan(3);
    await absolute.inc("another", perMinute(10), 5);
    await expect.poll(() => output.shown).toContain("another");
    expect(signals()).not.toEqual(before);
    leave(input);
    expect(await ended).toBe(0);
    expect(input.modes).toEqual([true, false]);
    expect(signals()).toEqual(before);
    expect(output.shown.startsWith("\u001b[?1049h\u001b[?25l")).toBe(true);
    expect(output.shown.endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
    const screens = output.shown.split("\u001b[2J").slice(1, -1);
    for (const line of screens.join("\r\n").split("\r\n"))
      expect(line.length).toBeLessThanOrEqual(60 + "\u001b[H".length);
    await redis.client.flushall();
  });

  it("is left at once while Redis hangs", async () => {
    const server = await RedisServer.start();
    const [input, output] = [new Terminal(), new Terminal()];
    const url = `redis://127.0.0.1:${server.port}`;
    const ended = top.run(["--url", url, "--every", "1ms"], { stdin: input, stdout: output, stderr: new Terminal() });
    await expect.poll(() => output.shown).toContain("nothing is counted here");
    server.signal("SIGSTOP");
    // By then it waits for an answer.
    await sleep(300);
    input.write("q");
    // It would fail when its deadline had passed.
    expect(await ended).toBe(0);
    expect(output.shown.endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
    await server.stop();
  });

  it("leaves the terminal as it was when Redis goes away, and fails", async () => {
    const [input, output] = [new Terminal(), new Terminal()];
    const url = `redis://127.0.0.1:${redis.client.options.port}`;
    const ended = top.run(["--url", url, "--every", "1ms"], { stdin: input, stdout: output, stderr: new Terminal() });
    ended.catch(() => {});
    await expect.poll(() => output.shown).toContain("nothing is counted here");
    await redis.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await expect(ended).rejects.toThrow();
    expect(input.modes).toEqual([true, false]);
    expect(output.shown.endsWith("\u001b[?25h\u001b[?1049l")).toBe(true);
  });
});
