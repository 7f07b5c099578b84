// A flood of clients, almost all of them over the limit: the process stays up, and its memory stays flat.

import { expect, it } from "vitest";
import { runScript } from "../support/built.ts";

const FLOOD = `
  import { once } from "node:events";
  import { createServer } from "node:http";
  import { connect } from "node:net";
  import { createLocalProvider, perSecond } from "trypema";
  import { clientAddress, rateLimit } from "trypema/node";

  const provider = createLocalProvider({ windowMs: 1_000, maxKeys: 1_000 });
  let n = 0;
  const limiters = [
    { name: "all", rate: perSecond(1e6), key: () => "all" },
    { name: "client", rate: perSecond(1), key: clientAddress({ proxies: ["127.0.0.1"] }) },
  ];
  const server = createServer(rateLimit({ provider, limiters }, (_, response) => response.end("hello")));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();

  const PIPELINED = 50;
  // Every other request is of a client of its own, the others are of one.
  const request = () => {
    const address = n++ % 2 === 0 ? "203.0.113.7" : [10, n >> 16 & 255, n >> 8 & 255, n & 255].join(".");
    return "GET / HTTP/1.1\\r\\nHost: x\\r\\nX-Forwarded-For: " + address + "\\r\\n\\r\\n";
  };
  const connection = (batches) => new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1").setEncoding("latin1").on("error", reject);
    let answered = 0, tail = "";
    const batch = () => {
      if (batches-- === 0) return socket.destroy(), resolve();
      answered = 0;
      let bytes = "";
      for (let i = 0; i < PIPELINED; i++) bytes += request();
      socket.write(bytes);
    };
    socket.on("data", (chunk) => {
      const text = tail + chunk;
      answered += text.split("HTTP/1.1 ").length - 1;
      tail = text.slice(-8).includes("HTTP/1.1 ") ? "" : text.slice(-8);
      if (answered >= PIPELINED) batch();
    });
    batch();
  });
  const flood = () => Promise.all(Array.from({ length: 10 }, () => connection(10)));
  const heapBytes = () => (gc(), gc(), process.memoryUsage().heapUsed);

  process.on("unhandledRejection", () => process.exit(3));
  for (let i = 0; i < 2; i++) await flood();
  const before = heapBytes();
  for (let i = 0; i < 6; i++) await flood();
  console.log(JSON.stringify({ requests: n, grown: heapBytes() - before }));
  process.exit();
`;

it("stays up and flat under sustained overload", async () => {
  const { stdout } = await runScript(FLOOD, ["--expose-gc"]);
  const { requests, grown } = JSON.parse(stdout);
  expect(requests).toBe(40_000);
  // 30 000 requests that each left 100 bytes behind would be three times that.
  expect(grown).toBeLessThan(1_000_000);
});
