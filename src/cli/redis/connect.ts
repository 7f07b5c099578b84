// The way to Redis: a client of `ioredis` or of `redis`, whichever is installed where the command is run, or beside
// this package.

import { createRequire } from "node:module";
import { join } from "node:path";
import { messageOf } from "../../core/errors.ts";
import { type Connection, connectionOf, type RedisClient } from "../../redis/client.ts";
import { Failure, type OptionTypes, UsageError } from "../command.ts";
import { printable } from "../text.ts";
import { ANSWER_MS, inTime } from "./deadline.ts";

/** ioredis waits so long for a server to close its end of a connection; one that hangs never does. */
const DISCONNECT_MS = 100;

/** The options that every command has which goes to Redis. */
export const REDIS_OPTIONS = {
  url: { type: "string" },
  prefix: { type: "string" },
  cluster: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const satisfies OptionTypes;

export const REDIS_HELP = `  --url URL          redis://[[user]:password@]host[:port][/database], with
                     rediss:// for TLS; default the variable REDIS_URL
  --prefix PREFIX    what all names of Redis keys begin with; default trypema
  --cluster          the URL is of a node of a Redis Cluster
  -h, --help         print this`;

export interface Target {
  readonly url: string;
  readonly prefix: string;
  readonly isCluster: boolean;
}

/** A client of one server, or of one master of a Cluster. */
export interface Server {
  readonly name: string;
  send(...command: string[]): Promise<unknown>;
}

/** Always holds: what it is asked for comes within the deadline, or fails. Only `client` has none. */
export interface OpenClient {
  readonly client: RedisClient;
  readonly connection: Pick<Connection, "eval" | "scans">;
  /** The name of the package. */
  readonly package: string;
  servers(): Promise<readonly Server[]>;
  close(): void;
}

/** @throws {UsageError} */
export function targetFrom(values: Readonly<Record<string, string | boolean | undefined>>): Target {
  const { REDIS_URL } = process.env;
  const { url = REDIS_URL, prefix = "trypema", cluster = false } = values as Record<string, string | undefined>;
  if (url === undefined || url === "") throw new UsageError("name the server with --url redis://HOST, or in REDIS_URL");
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError("the URL of the server is none: expected redis://HOST:PORT, or rediss:// for TLS");
  }
  if (!/^[^{}]{1,100}$/.test(prefix)) {
    throw new UsageError(`--prefix ${printable(prefix)}: expected 1 to 100 characters without { and }`);
  }
  return { url, prefix, isCluster: Boolean(cluster) };
}

/** @throws {Failure} where no client is installed, or no server answers */
export async function connect(target: Target): Promise<OpenClient> {
  const found = findPackage();
  try {
    const open = found.name === "ioredis" ? openIoredis : openNodeRedis;
    return withDeadlines(await open(found.module, target), `${placeOf(target)} doesn't answer`);
  } catch (error) {
    // The URL may have a password, so only the place is told.
    throw new Failure(`${placeOf(target)} can't be reached: ${printable(reasonOf(error), 200)}`);
  }
}

function withDeadlines(opened: OpenClient, silence: string): OpenClient {
  const { connection } = opened;
  const scans = async () => {
    const found = await inTime(connection.scans(), silence);
    return found.map((scan) => (cursor: string, pattern: string) => inTime(scan(cursor, pattern), silence));
  };
  const servers = async () => {
    const found = await inTime(opened.servers(), silence);
    return found.map(({ name, send }) => ({ name, send: (...command: string[]) => inTime(send(...command), silence) }));
  };
  const evaluate: Connection["eval"] = (...script) => inTime(connection.eval(...script), silence);
  return { ...opened, connection: { eval: evaluate, scans }, servers };
}

/** Connects, and leaves nothing open where that fails. */
async function connectInTime(connecting: Promise<unknown>, { isCluster }: Target, close: () => void): Promise<void> {
  try {
    await inTime(connecting, isCluster ? "no node of the Cluster answers" : "it doesn't answer");
  } catch (error) {
    close();
    throw error;
  }
}

export function placeOf({ url }: Target): string {
  const { hostname, port } = new URL(url);
  return `Redis at ${printable(hostname || "localhost")}:${port || "6379"}`;
}

/** The clients of Node give several errors at once where a name has several addresses. */
function reasonOf(error: unknown): string {
  const { errors, lastNodeError } = error as { errors?: unknown[]; lastNodeError?: unknown };
  return messageOf(lastNodeError ?? errors?.[0] ?? error);
}

function findPackage(): { name: "ioredis" | "redis"; module: never } {
  // By npx the package may lie in a folder of npm, and the client where the command is run.
  for (const from of [join(process.cwd(), "package.json"), import.meta.url]) {
    const require = createRequire(from);
    for (const name of ["ioredis", "redis"] as const) {
      try {
        return { name, module: require(name) as never };
      } catch (error) {
        if ((error as { code?: string }).code !== "MODULE_NOT_FOUND") throw error;
      }
    }
  }
  throw new Failure("no client of Redis is installed here: npm install ioredis, or npm install redis");
}

interface IoredisNode {
  connect(): Promise<unknown>;
  disconnect(): void;
  on(event: "error", listener: () => void): void;
  call(command: string, ...args: string[]): Promise<unknown>;
  nodes?(role: "master"): (IoredisNode & { options: { host: string; port: number } })[];
}

interface Ioredis {
  readonly Redis: new (url: string, options: object) => IoredisNode;
  readonly Cluster: new (nodes: object[], options: object) => IoredisNode;
}

/** ioredis would ask INFO first, and print a warning where the user may not. */
const UNASKED = { enableReadyCheck: false };
const TIMES = { connectTimeout: ANSWER_MS, disconnectTimeout: DISCONNECT_MS };

async function openIoredis({ Redis, Cluster }: Ioredis, target: Target): Promise<OpenClient> {
  const once = {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    ...UNASKED,
    ...TIMES,
  };
  const { hostname, port, username, password, protocol } = new URL(target.url);
  const access = {
    ...(username !== "" && { username: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    ...(protocol === "rediss:" && { tls: {} }),
  };
  const node = { host: hostname.replaceAll(/[[\]]/g, "") || "localhost", port: Number(port) || 6_379 };
  const client = target.isCluster
    ? new Cluster([node], {
        lazyConnect: true,
        redisOptions: { ...access, ...UNASKED, ...TIMES },
        clusterRetryStrategy: () => null,
        // By default it gives up on a node that doesn't tell the slots within a second.
        slotsRefreshTimeout: ANSWER_MS,
      })
    : new Redis(target.url, once);
  client.on("error", () => {});
  await connectInTime(client.connect(), target, () => client.disconnect());
  const serverOf = (one: IoredisNode, name: string): Server => ({
    name,
    send: (name, ...args) => one.call(name!, ...args),
  });
  return {
    client: client as unknown as RedisClient,
    connection: connectionOf(client as unknown as RedisClient),
    package: "ioredis",
    servers: async () =>
      client.nodes?.("master").map((one) => serverOf(one, `${one.options.host}:${one.options.port}`)) ?? [
        serverOf(client, placeOf(target)),
      ],
    close: () => client.disconnect(),
  };
}

interface NodeRedisNode {
  connect(): Promise<unknown>;
  readonly isOpen: boolean;
  destroy(): void;
  on(event: "error", listener: () => void): void;
  sendCommand(command: string[]): Promise<unknown>;
  masters?: { address: string }[];
  nodeClient?(master: unknown): NodeRedisNode | Promise<NodeRedisNode>;
}

interface NodeRedis {
  createClient(options: object): NodeRedisNode;
  createCluster(options: object): NodeRedisNode;
}

async function openNodeRedis({ createClient, createCluster }: NodeRedis, target: Target): Promise<OpenClient> {
  const { url } = target;
  const socket = { reconnectStrategy: false, connectTimeout: ANSWER_MS };
  const { username, password, protocol } = new URL(url);
  const defaults = {
    ...(username !== "" && { username: decodeURIComponent(username) }),
    ...(password !== "" && { password: decodeURIComponent(password) }),
    socket: { ...socket, ...(protocol === "rediss:" && { tls: true }) },
  };
  const client = target.isCluster ? createCluster({ rootNodes: [{ url }], defaults }) : createClient({ url, socket });
  client.on("error", () => {});
  const close = () => {
    if (client.isOpen) client.destroy();
  };
  await connectInTime(client.connect(), target, close);
  const serverOf = (one: NodeRedisNode, name: string): Server => ({
    name,
    send: (...command) => one.sendCommand(command),
  });
  return {
    client: client as unknown as RedisClient,
    connection: connectionOf(client as unknown as RedisClient),
    package: "redis",
    servers: () =>
      Promise.all(
        client.masters?.map(async (master) => serverOf(await client.nodeClient!(master), master.address)) ?? [
          serverOf(client, placeOf(target)),
        ],
      ),
    close,
  };
}
