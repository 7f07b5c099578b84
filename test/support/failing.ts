// How tests call a limiter whose Redis is away.

import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { TrypemaError } from "trypema";
import { expect, onTestFinished, vi } from "vitest";

const TURN_MS = 10;
/** Far more than a caller may wait on a busy machine, and far less than the clients' own queues make it wait. */
const A_LITTLE = 500;

/**
 * The error of a call that has to fail, and in time. The time is measured in turns of a timer, because a process that
 * was held up for however long makes up for none of them.
 */
export async function failureOf(call: Promise<unknown>): Promise<TrypemaError> {
  let turns = 0;
  const timer = setInterval(() => turns++, TURN_MS);
  const outcome: unknown = await call.catch((error) => error).finally(() => clearInterval(timer));
  expect(turns).toBeLessThan(A_LITTLE);
  if (!(outcome instanceof TrypemaError))
    throw new Error("it should have failed with a TrypemaError", { cause: outcome });
  return outcome;
}

/** Stands between a client and a server, and can break the connection when the server has answered. */
export async function startCutter(serverPort: number) {
  let cutting = false;
  const proxy = createServer((client) => {
    const server = connect(serverPort, "127.0.0.1");
    for (const socket of [client, server]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        client.destroy();
        server.destroy();
      });
    }
    client.on("data", (data) => server.write(data));
    server.on("data", (data) => {
      if (cutting) client.destroy();
      else client.write(data);
      cutting = false;
    });
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    /** The next answer doesn't come: the connection closes instead. */
    cutNextAnswer: () => {
      cutting = true;
    },
    close: () => proxy.close(),
  };
}

/** Has the library's clock stand still, so that no probe is due, however slow the machine is. */
export function stopClock(): { advance(ms: number): void } {
  let nowMs = performance.now();
  const clock = vi.spyOn(performance, "now").mockImplementation(() => nowMs);
  onTestFinished(() => clock.mockRestore());
  return {
    advance(ms) {
      nowMs += ms;
    },
  };
}

/** Calls until one succeeds, as a service in use does. */
export async function recovery<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    const result = await call().catch(() => undefined);
    if (result !== undefined) return result;
    await sleep(50);
  }
  throw new Error("did not recover");
}
