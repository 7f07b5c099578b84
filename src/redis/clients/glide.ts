// `@valkey/valkey-glide`.

import { textFrom } from "../reply.ts";
import { type Connection, hasMethods, SCAN_COUNT, type Scan, withRedisText } from "./connection.ts";

/** `GlideClient` or `GlideClusterClient` of the package `@valkey/valkey-glide`. */
export interface GlideClient {
  /** Runs any command. */
  customCommand(args: string[]): Promise<unknown>;
  /** Runs a script object of the package, which only the package can make. A `Batch` doesn't have it. */
  invokeScript(script: never): Promise<unknown>;
}

type Route = "allPrimaries" | { type: "routeByAddress"; host: string; port: number };

interface GlideClusterClient {
  customCommand(args: string[], options: { route: Route }): Promise<unknown>;
}

export function isGlide(client: unknown): client is GlideClient {
  return hasMethods(client, "customCommand", "invokeScript");
}

export function glideConnection(client: GlideClient): Connection {
  const run = (command: string, script: string, keys: string[], args: string[]) =>
    withRedisText(client.customCommand([command, script, String(keys.length), ...keys, ...args]), redisTextOf);
  const isCluster = hasMethods(client, "invokeScriptWithRoute");
  return {
    isCluster,
    evalSha: (sha1, keys, args) => run("EVALSHA", sha1, keys, args),
    eval: (source, keys, args) => run("EVAL", source, keys, args),
    async scans() {
      if (!isCluster) {
        return [(cursor, pattern) => client.customCommand(scanCommand(cursor, pattern))];
      }
      return scansOfCluster(client as GlideClusterClient);
    },
  };
}

/** The client names the masters of a Cluster only in the reply to a command that goes to all of them. */
async function scansOfCluster(client: GlideClusterClient): Promise<Scan[]> {
  const replies = await client.customCommand(["SCAN", "0", "COUNT", "1"], { route: "allPrimaries" });
  return (replies as { key: unknown }[]).map(({ key }) => {
    const [, host, port] = /^(.*):(\d+)$/.exec(textFrom(key))!;
    const route: Route = { type: "routeByAddress", host: host!, port: Number(port) };
    return (cursor, pattern) => client.customCommand(scanCommand(cursor, pattern), { route });
  });
}

function scanCommand(cursor: string, pattern: string): string[] {
  return ["SCAN", cursor, "MATCH", pattern, "COUNT", String(SCAN_COUNT)];
}

/** The client's names of the error codes that Redis has and this library asks for. */
const CODES: Readonly<Record<string, string>> = {
  ResponseError: "ERR",
  NoScriptError: "NOSCRIPT",
  CrossSlot: "CROSSSLOT",
};

/** What Redis said. The client has names of its own for some error codes, and a colon behind each code. */
function redisTextOf(message: string): string {
  const match = /^(?:An error was signalled by the server: - )?(\w+): (.*)$/s.exec(message);
  if (match === null) return message;
  const [, code, text] = match;
  return `${CODES[code!] ?? code} ${text}`;
}
