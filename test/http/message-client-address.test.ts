// The client's address of a message that no handler with limits meets: the request that opens a websocket.

import { once } from "node:events";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageClientAddress } from "trypema/node";
import { afterEach, expect, it } from "vitest";

const server = createServer();
/** What is made of the request that opens a websocket, while its socket is open. */
let addressOf: (message: IncomingMessage) => string | undefined;
const addresses: (string | undefined)[] = [];

server.on("upgrade", (message, socket) => {
  addresses.push(addressOf(message));
  socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n");
});

afterEach(() => void server.close());

/** The address of a client that opens a websocket, at a place where the server listens. */
async function upgrade(to: { port: number } | { socketPath: string }, forwardedFor: string[] = []) {
  const headers = { connection: "Upgrade", upgrade: "websocket", "x-forwarded-for": forwardedFor };
  const sent = request({ ...to, host: "127.0.0.1", headers }).end();
  const [response] = await once(sent, "response");
  response.resume();
  return addresses.pop();
}

async function listen(place: number | string) {
  await once(server.listen(place as number, typeof place === "number" ? "127.0.0.1" : undefined), "listening");
  return { port: (server.address() as AddressInfo).port };
}

it("takes no property that all objects have for a header", async () => {
  for (const header of ["constructor", "__proto__"]) {
    addressOf = messageClientAddress({ proxies: 1, header });
    expect(await upgrade(server.listening ? (server.address() as AddressInfo) : await listen(0))).toBe("127.0.0.1");
  }
});

it("is the other end of the connection, whatever headers say", async () => {
  addressOf = messageClientAddress();
  expect(await upgrade(await listen(0), ["192.0.2.1"])).toBe("127.0.0.1");
});

it("is what the trusted proxy has written, with several lines of the header as one list", async () => {
  addressOf = messageClientAddress({ proxies: 1 });
  const place = await listen(0);
  expect(await upgrade(place, ["192.0.2.1", "192.0.2.2"])).toBe("192.0.2.2");
  expect(await upgrade(place, ["192.0.2.1", "2001:db8::1:2:3:4"])).toBe("2001:db8:0:0::/64");
  expect(await upgrade(place, ["nobody"])).toBeUndefined();
});

it("of a unix socket is the proxy's word, where unix sockets are trusted", async () => {
  const socketPath = join(tmpdir(), `trypema-${process.pid}.sock`);
  addressOf = messageClientAddress({ proxies: ["unix"] });
  await listen(socketPath);
  expect(await upgrade({ socketPath }, ["192.0.2.1"])).toBe("192.0.2.1");
  expect(await upgrade({ socketPath })).toBe("unix");
});
