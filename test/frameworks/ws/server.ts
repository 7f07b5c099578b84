// server.ts
import { createLimits, createLocalProvider, minutes } from "trypema";
import { messageClientAddress } from "trypema/node";
import { WebSocketServer } from "ws";

const limits = createLimits(createLocalProvider(), {
  messages: { limit: 30, windowMs: minutes(1) },
  bytes: { limit: 100_000, windowMs: minutes(1) },
});
const addressOf = messageClientAddress(); // behind one proxy: messageClientAddress({ proxies: 1 })
const server = new WebSocketServer({ port: Number(process.env.PORT ?? 8080), maxPayload: 16_384 });

server.on("connection", (socket, request) => {
  const client = addressOf(request);
  if (client === undefined) return socket.terminate();
  socket.on("message", (data: Buffer) => {
    const { allowed, retryAfterMs } = limits.take(client, { bytes: data.length });
    socket.send(allowed ? `you said ${data}` : JSON.stringify({ error: "too many messages", retryAfterMs }));
  });
});
