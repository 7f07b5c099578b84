// server.ts
import { Server } from "socket.io";
import { createLimits, createLocalProvider, minutes } from "trypema";
import { messageClientAddress } from "trypema/node";

const limits = createLimits(createLocalProvider(), {
  connections: { limit: 20, windowMs: minutes(1) },
  messages: { limit: 30, windowMs: minutes(1) },
});
const addressOf = messageClientAddress(); // behind one proxy: messageClientAddress({ proxies: 1 })
const io = new Server(Number(process.env.PORT ?? 3000));

io.use(async (socket, next) => {
  const client = addressOf(socket.request);
  if (client === undefined) return next(new Error("unknown client"));
  socket.data.client = client;
  const taken = await limits.take({ connections: client });
  if (taken.allowed) next();
  else next(Object.assign(new Error("too many connections"), { data: { retryAfterMs: taken.retryAfterMs } }));
});

io.on("connection", (socket) => {
  socket.use(async (packet, next) => {
    const taken = await limits.take({ messages: socket.data.client });
    if (taken.allowed) return next();
    const denial = { error: "too many messages", retryAfterMs: taken.retryAfterMs };
    const acknowledge = packet.at(-1);
    if (typeof acknowledge === "function") acknowledge(denial);
    else socket.emit("denied", denial);
  });
  socket.on("say", (text: string, acknowledge: (answer: unknown) => void) => acknowledge(`you said ${text}`));
  socket.on("shout", (text: string) => io.emit("shout", text));
});
