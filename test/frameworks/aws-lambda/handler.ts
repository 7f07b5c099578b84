// handler.ts
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { Redis } from "ioredis";
import { perMinute } from "trypema";
import { Guard } from "trypema/http";
import { createRedisProvider } from "trypema/redis";

// Outside of the handler, so that the calls of an instance share the connection.
const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
const guard = new Guard<APIGatewayProxyEventV2>({ provider: createRedisProvider(client), rate: perMinute(60) });

export async function handler(event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> {
  const { method, sourceIp } = event.requestContext.http;
  const header = (name: string) => event.headers[name];
  const verdict = await guard.check({ raw: event, method, path: event.rawPath, peerAddress: sourceIp, header });
  if (verdict.answer !== undefined) {
    const { status, fields, body } = verdict.answer;
    return { statusCode: status, headers: headersOf(fields), body };
  }
  return { statusCode: 200, headers: headersOf(verdict.fields), body: "hello" };
}

/** Fields are a list of names and values, in turns. */
function headersOf(fields: readonly string[]): Record<string, string> {
  return Object.fromEntries(fields.flatMap((name, i) => (i % 2 === 0 ? [[name, fields[i + 1]!]] : [])));
}
