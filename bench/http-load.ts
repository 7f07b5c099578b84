// A client that costs as little processor time as it can, so that the server sets the pace and not the client. It
// writes the same bytes again and again, and counts the answers by their first line.

import { connect, type Socket } from "node:net";

const REQUEST = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
const ANSWER = Buffer.from("HTTP/1.1 200 OK\r\n");

export interface Answered {
  readonly count: number;
  readonly perSecond: number;
}

/**
 * Keeps one request in flight on each connection for `ms`, or longer on a slow machine.
 *
 * @returns how many requests were answered with 200
 */
export async function load(port: number, connections: number, ms: number): Promise<Answered> {
  let answered = 0;
  const startMs = performance.now();
  const until = startMs + ms;
  const keepBusy = (socket: Socket) =>
    new Promise<void>((resolve, reject) => {
      socket
        .setNoDelay(true)
        .on("error", reject)
        .on("connect", () => socket.write(REQUEST));
      socket.on("data", (data: Buffer) => {
        // Answers of some bytes come whole.
        if (!data.subarray(0, ANSWER.length).equals(ANSWER)) return reject(new Error(data.toString("latin1")));
        answered++;
        if (performance.now() < until) return socket.write(REQUEST);
        socket.destroy();
        return resolve();
      });
    });
  await Promise.all(Array.from({ length: connections }, () => keepBusy(connect(port, "127.0.0.1"))));
  return { count: answered, perSecond: (answered / (performance.now() - startMs)) * 1_000 };
}
