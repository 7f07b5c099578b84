import assert from "node:assert/strict";
import { io, type Socket } from "socket.io-client";
import { check, startServer } from "../check.ts";

const { url, stop } = await startServer("server.ts");
const sockets: Socket[] = [];

function open(): Socket {
  const socket = io(url, { forceNew: true, reconnection: false, transports: ["websocket"] });
  sockets.push(socket);
  return socket;
}

/** What the next event of that name brings. */
function next<T>(socket: Socket, event: string): Promise<T> {
  return new Promise((resolve) => socket.once(event, resolve));
}

const socket = open();
await next(socket, "connect");

await check("a client has 30 messages a minute, and is told the wait in the acknowledgement", async () => {
  for (let i = 0; i < 29; i++) assert.equal(await socket.emitWithAck("say", "hello"), "you said hello");
  const heard = next(socket, "shout");
  socket.emit("shout", "hello");
  assert.equal(await heard, "hello");
  const { error, retryAfterMs } = await socket.emitWithAck("say", "hello");
  assert.equal(error, "too many messages");
  assert.ok(retryAfterMs > 0 && retryAfterMs <= 60_100);
});

await check("a message without an acknowledgement is answered by an event", async () => {
  const denied = next<{ error: string }>(socket, "denied");
  socket.emit("shout", "hello");
  assert.equal((await denied).error, "too many messages");
  assert.equal(socket.connected, true);
});

await check("a client has 20 connections a minute", async () => {
  for (let i = 1; i < 20; i++) await next(open(), "connect");
  const error = await next<Error & { data: { retryAfterMs: number } }>(open(), "connect_error");
  assert.equal(error.message, "too many connections");
  assert.ok(error.data.retryAfterMs > 0 && error.data.retryAfterMs <= 60_100);
});

for (const one of sockets) one.disconnect();
stop();
