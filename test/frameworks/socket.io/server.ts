// server.ts
import { Server } from "socket.io";
import { createLimits, createLocalProvider, minutes } from "trypema";

const limits = createLimits(createLocalProvider(), {
  connections: { limit: 20, windowMs: minutes(1) },
  messages: { limit: 30, windowMs: minutes(1) },
});
const io = new Server(Number(process.env.PORT ?? 3000));

io.use(async (socket, next) => {
  const taken = await limits.take({ connections: socket.handshake.address });
  if (taken.allowed) next();
  else next(Object.assign(new Error("too many connections"), { data: { retryAfterMs: taken.retryAfterMs } }));
});

io.on("connection", (socket) => {
  socket.use(async (packet, next) => {
    const taken = await limits.take({ messages: socket.handshake.address });
    if (taken.allowed) return next();
    const denial = { error: "too many messages", retryAfterMs: taken.retryAfterMs };
    const acknowledge = packet.at(-1);
    if (typeof acknowledge === "function") acknowledge(denial);
    else socket.emit("denied", denial);
  });
  socket.on("say", (text: string, acknowledge: (answer: unknown) => void) => acknowledge(`you said ${text}`));
  socket.on("shout", (text: string) => io.emit("shout", text));
});
