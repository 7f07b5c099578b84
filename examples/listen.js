// Makes the examples listen on PORT or 3000. It is no part of what they show.

import { createServer } from "node:http";

const { PORT = "3000" } = process.env;

/** @param {import("node:http").RequestListener} handler */
export function listen(handler) {
  const server = createServer(handler).listen(Number(PORT), "127.0.0.1", () => {
    const address = server.address();
    if (typeof address === "object") console.log(`listening on http://127.0.0.1:${address?.port}`);
  });
}
