// A proxy that makes a server far away: what is sent takes its time, each way another, and arrives in its order.

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface FarServer {
  readonly port: number;
  close(): void;
}

/** @param eachWayMs the longest that a message takes; 0 for none of that */
export async function startFarServer(serverPort: number, eachWayMs: number): Promise<FarServer> {
  const sockets = new Set<Socket>();
  const proxy = createServer({ noDelay: true }, (client) => {
    const server = connect({ port: serverPort, host: "127.0.0.1", noDelay: true });
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    bring(client, server, eachWayMs);
    bring(server, client, eachWayMs);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    close() {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function bring(from: Socket, to: Socket, eachWayMs: number): void {
  let lastMs = 0;
  from.on("data", (data) => {
    if (eachWayMs === 0) {
      to.write(data);
      return;
    }
    const nowMs = performance.now();
    lastMs = Math.max(lastMs, nowMs + Math.random() * eachWayMs);
    setTimeout(() => to.write(data), lastMs - nowMs);
  });
}
