// server-v1.ts
import { createServer } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as z from "zod";
import { limited } from "./limited.ts";

createServer(async (request, response) => {
  const client = request.headers["x-api-key"]?.toString() ?? "nobody"; // whom you have authenticated
  const server = new McpServer({ name: "weather", version: "1.0.0" });
  server.registerTool("forecast", { inputSchema: { city: z.string() } }, ({ city }) =>
    limited(client, 1, () => ({ content: [{ type: "text", text: `It rains in ${city}.` }] })),
  );
  server.registerTool("radar", { description: "Costs as much as ten forecasts." }, () =>
    limited(client, 10, () => ({ content: [{ type: "text", text: "Clouds." }] })),
  );
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  response.once("close", () => server.close());
  await server.connect(transport);
  await transport.handleRequest(request, response);
}).listen(Number(process.env.PORT ?? 3000));
