import assert from "node:assert/strict";
import { once } from "node:events";
import { WebSocket } from "ws";
import { check, startServer } from "../check.ts";

const { url, stop } = await startServer("server.ts");

/** Sends a message, and returns the answer to it. */
async function ask(socket: WebSocket, message: string): Promise<string> {
  const answer = once(socket, "message");
  socket.send(message);
  return String((await answer)[0]);
}

async function connect(): Promise<WebSocket> {
  const socket = new WebSocket(url);
  await once(socket, "open");
  return socket;
}

const [one, other] = [await connect(), await connect()];

await check("the connections of a client have 30 messages a minute together", async () => {
  for (let i = 0; i < 15; i++) {
    assert.equal(await ask(one, "hello"), "you said hello");
    assert.equal(await ask(other, "hello"), "you said hello");
  }
  const { error, retryAfterMs } = JSON.parse(await ask(one, "hello"));
  assert.equal(error, "too many messages");
  assert.ok(retryAfterMs > 0 && retryAfterMs <= 60_100);
});

await check("a message over the limit leaves the connection open", async () => {
  assert.match(await ask(other, "hello"), /too many messages/);
  assert.equal(other.readyState, WebSocket.OPEN);
});

one.terminate();
other.terminate();
stop();
