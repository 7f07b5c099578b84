// server.ts
import { createLimits, createLocalProvider, minutes } from "trypema";
import { WebSocketServer } from "ws";

const limits = createLimits(createLocalProvider(), {
  messages: { limit: 30, windowMs: minutes(1) },
  bytes: { limit: 100_000, windowMs: minutes(1) },
});
const server = new WebSocketServer({ port: Number(process.env.PORT ?? 8080), maxPayload: 16_384 });

server.on("connection", (socket, request) => {
  const client = request.socket.remoteAddress ?? "unknown";
  socket.on("message", (data: Buffer) => {
    const { allowed, retryAfterMs } = limits.take(client, { bytes: data.length });
    socket.send(allowed ? `you said ${data}` : JSON.stringify({ error: "too many messages", retryAfterMs }));
  });
});
