import assert from "node:assert/strict";
import type { APIGatewayProxyEventV2 } from "aws-lambda";
import { check } from "../check.ts";
import { handler } from "./handler.ts";

/** An event as an HTTP API of API Gateway sends it, in its payload format 2.0. */
function eventFrom(sourceIp: string): APIGatewayProxyEventV2 {
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: "/hello",
    rawQueryString: "",
    headers: {
      accept: "application/json",
      "content-length": "0",
      host: "abcdefghij.execute-api.eu-central-1.amazonaws.com",
      "user-agent": "curl/8.5.0",
      "x-amzn-trace-id": "Root=1-65f2c3a4-0123456789abcdef01234567",
      "x-forwarded-for": `192.0.2.99, ${sourceIp}`,
      "x-forwarded-port": "443",
      "x-forwarded-proto": "https",
    },
    requestContext: {
      accountId: "123456789012",
      apiId: "abcdefghij",
      domainName: "abcdefghij.execute-api.eu-central-1.amazonaws.com",
      domainPrefix: "abcdefghij",
      http: { method: "GET", path: "/hello", protocol: "HTTP/1.1", sourceIp, userAgent: "curl/8.5.0" },
      requestId: "JKJaXmPLvHcESHA=",
      routeKey: "$default",
      stage: "$default",
      time: "27/Nov/2026:12:00:00 +0000",
      timeEpoch: 1795780800000,
    },
    isBase64Encoded: false,
  };
}

await check("each address has 60 requests a minute, and is told what is left", async () => {
  for (let left = 59; left >= 0; left--) {
    const { statusCode, headers, body } = await handler(eventFrom("192.0.2.1"));
    assert.deepEqual([statusCode, body], [200, "hello"]);
    assert.equal(String(headers?.ratelimit).split(";t=")[0], `"default";r=${left}`);
  }
});

await check("over the limit the answer is a 429 with the wait", async () => {
  const { statusCode, headers, body } = await handler(eventFrom("192.0.2.1"));
  assert.equal(statusCode, 429);
  assert.ok(Number(headers?.["retry-after"]) > 0 && Number(headers?.["retry-after"]) <= 61);
  assert.equal(headers?.["content-type"], "application/problem+json");
  assert.equal(JSON.parse(body!).status, 429);
});

await check("another address has a limit of its own, whatever X-Forwarded-For says", async () => {
  assert.equal((await handler(eventFrom("192.0.2.2"))).statusCode, 200);
});

process.exit();
