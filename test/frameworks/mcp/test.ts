import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { check, startServer } from "../check.ts";

async function connect(url: string, key: string): Promise<Client> {
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(
    new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { "x-api-key": key } } }),
  );
  return client;
}

async function call(client: Client, name: string): Promise<{ isError: boolean; text: string }> {
  const { isError = false, content } = await client.callTool({ name, arguments: { city: "Bern" } });
  const [first] = content;
  return { isError, text: first?.type === "text" ? first.text : "" };
}

for (const [sdk, file] of [
  ["version 2", "server.ts"],
  ["version 1", "server-v1.ts"],
] as const) {
  const { url, stop } = await startServer(file);
  const [ann, bob] = [await connect(url, "ann"), await connect(url, "bob")];

  await check(`${sdk}: tools share a limit, each with a cost of its own`, async () => {
    assert.deepEqual(await call(ann, "forecast"), { isError: false, text: "It rains in Bern." });
    assert.equal((await call(ann, "radar")).text, "Clouds.");
    assert.equal((await call(ann, "radar")).text, "Clouds.");
    const { isError, text } = await call(ann, "radar");
    assert.equal(isError, true);
    assert.match(text, /^Rate limit exceeded\. Try again in (60|[1-5]?\d) seconds\.$/);
    assert.equal((await call(ann, "forecast")).isError, false);
  });

  await check(`${sdk}: another client has a limit of its own`, async () => {
    assert.equal((await call(bob, "radar")).isError, false);
  });

  await check(`${sdk}: connecting and listing tools is free`, async () => {
    for (let i = 0; i < 40; i++) assert.equal((await ann.listTools()).tools.length, 2);
    for (let i = 0; i < 8; i++) await (await connect(url, "ann")).close();
    assert.equal((await call(ann, "forecast")).isError, false);
  });

  await Promise.all([ann.close(), bob.close()]);
  stop();
}
