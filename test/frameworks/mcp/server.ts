// server.ts
import { createServer } from "node:http";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import * as z from "zod";
import { limited } from "./limited.ts";

const handler = createMcpHandler(({ authInfo, requestInfo }) => {
  const client = authInfo?.clientId ?? requestInfo?.headers.get("x-api-key") ?? "nobody"; // whom you have authenticated
  const server = new McpServer({ name: "weather", version: "1.0.0" });
  server.registerTool("forecast", { inputSchema: z.object({ city: z.string() }) }, ({ city }) =>
    limited(client, 1, () => ({ content: [{ type: "text", text: `It rains in ${city}.` }] })),
  );
  server.registerTool("radar", { description: "Costs as much as ten forecasts." }, () =>
    limited(client, 10, () => ({ content: [{ type: "text", text: "Clouds." }] })),
  );
  return server;
});

createServer(toNodeHandler(handler)).listen(Number(process.env.PORT ?? 3000));
