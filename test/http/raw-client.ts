// HTTP as bytes: what is sent is what a test says, and what comes back is what the server wrote.

import { once } from "node:events";
import { connect, type Socket } from "node:net";

export interface RawResponse {
  readonly status: number;
  /** The lines of the header, in order, as they came. */
  readonly lines: readonly string[];
  readonly body: string;
}

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** The bytes of a request. */
export function bytesOf({ method = "GET", path = "/", headers = [], body = "" }: RawRequest): string {
  const length = body === "" ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return [`${method} ${path} HTTP/1.1`, "Host: localhost", ...headers, ...length, "", body].join("\r\n");
}

/** Sends a request on a connection of its own. */
export async function send(target: number | string, request: RawRequest = {}): Promise<RawResponse> {
  const { headers = [] } = request;
  const [response] = await sendAll(target, [{ ...request, headers: [...headers, "Connection: close"] }]);
  return response!;
}

/** Sends requests one after the other on one connection, each when the one before is answered; the last closes it. */
export async function sendAll(target: number | string, requests: readonly RawRequest[]): Promise<RawResponse[]> {
  const socket = typeof target === "number" ? connect(target, "127.0.0.1") : connect(target);
  const responses: RawResponse[] = [];
  let text = "";
  socket.setEncoding("latin1");
  try {
    for (const request of requests) {
      socket.write(bytesOf(request), "latin1");
      for (;;) {
        const parsed = parse(text, request.method);
        if (parsed !== undefined) {
          responses.push(parsed.response);
          text = text.slice(parsed.length);
          break;
        }
        text += await nextChunk(socket);
      }
    }
  } finally {
    socket.destroy();
  }
  return responses;
}

async function nextChunk(socket: Socket): Promise<string> {
  const ended = once(socket, "end").then(() => {
    throw new Error("the server closed the connection before it had answered");
  });
  const [chunk] = await Promise.race([once(socket, "data"), ended as Promise<never>]);
  return chunk as string;
}

/** The first response of a text, if it is whole, and how much of the text that is. */
function parse(text: string, method: string | undefined): { response: RawResponse; length: number } | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const [first, ...lines] = text.slice(0, end).split("\r\n");
  const rest = text.slice(end + 4);
  const body = bodyOf(rest, lines, method === "HEAD");
  if (body === undefined) return undefined;
  const status = Number(first!.split(" ")[1]);
  return { response: { status, lines, body: body.text }, length: end + 4 + body.length };
}

function bodyOf(rest: string, lines: readonly string[], isHead: boolean): { text: string; length: number } | undefined {
  if (isHead) return { text: "", length: 0 };
  const header = (name: string) => lines.find((line) => line.toLowerCase().startsWith(`${name}:`))?.split(": ")[1];
  if (header("transfer-encoding") !== "chunked") {
    const length = Number(header("content-length") ?? 0);
    return rest.length < length ? undefined : { text: rest.slice(0, length), length };
  }
  let at = 0;
  let text = "";
  for (;;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(rest.slice(at, lineEnd), 16);
    const chunkEnd = lineEnd + 2 + size + 2;
    if (rest.length < chunkEnd) return undefined;
    text += rest.slice(lineEnd + 2, chunkEnd - 2);
    at = chunkEnd;
    if (size === 0) return { text, length: at };
  }
}

/** The lines of the fields that a rate limiter sends, as they came. */
export function limitLines({ lines }: RawResponse): string[] {
  return lines.filter((line) => /^(x-)?(ratelimit|retry-after)/i.test(line)).sort();
}
