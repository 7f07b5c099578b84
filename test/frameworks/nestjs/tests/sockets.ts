// The module before gateways, with clients of Socket.IO and of WebSocket, and before a microservice.

import "reflect-metadata";
import { match, rejects } from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type INestApplication,
  UseFilters,
  UseGuards,
  type WsExceptionFilter,
} from "@nestjs/common";
import { ClientProxyFactory, MessagePattern, type MicroserviceOptions, Transport } from "@nestjs/microservices";
import { IoAdapter } from "@nestjs/platform-socket.io";
import { WsAdapter } from "@nestjs/platform-ws";
import { MessageBody, SubscribeMessage, WebSocketGateway, WsException } from "@nestjs/websockets";
import { firstValueFrom } from "rxjs";
import { io } from "socket.io-client";
import { createLocalProvider } from "trypema";
import { clientAddress, RateLimitGuard, SkipRateLimit, TrypemaModule, type TrypemaModuleOptions } from "trypema/nestjs";
import { WebSocket } from "ws";
import { SocketsModule } from "../app/sockets.js";
import { PLATFORMS, type Served, same, serving, servingModule } from "./serve.js";

interface Client {
  /** Sends a message, and returns the event and the data of the next answer. */
  ask(event: string, data?: unknown): Promise<[string, unknown]>;
  send(event: string, data?: unknown): void;
  close(): void;
}

const adapters = {
  "Socket.IO": (app: INestApplication) => app.useWebSocketAdapter(new IoAdapter(app)),
  ws: (app: INestApplication) => app.useWebSocketAdapter(new WsAdapter(app)),
};

async function connect(kind: string, { url }: Served, headers: Record<string, string> = {}): Promise<Client> {
  if (kind === "ws") {
    const socket = new WebSocket(url.replace("http", "ws"), { headers });
    await once(socket, "open");
    const send = (event: string, data?: unknown) => socket.send(JSON.stringify({ event, data: data ?? null }));
    return {
      send,
      close: () => socket.terminate(),
      async ask(event, data) {
        send(event, data);
        const answer = JSON.parse(String((await once(socket, "message"))[0]));
        return [answer.event, answer.data];
      },
    };
  }
  const socket = io(url, { transports: ["websocket"], extraHeaders: headers, forceNew: true });
  await once(socket as never, "connect");
  return {
    send: (event, data) => void socket.emit(event, data ?? null),
    close: () => void socket.disconnect(),
    async ask(event, data) {
      socket.emit(event, data ?? null);
      return new Promise((resolve) => {
        socket.onAny((name, got) => {
          socket.offAny();
          resolve([name, got]);
        });
      });
    },
  };
}

const isNest11 = createRequire(import.meta.url)("@nestjs/core/package.json").version.startsWith("11.");

/** Nest 11 sends exceptions to clients of Socket.IO only, so an application sends them to those of ws itself. */
@Catch(WsException)
class ExceptionsToClients implements WsExceptionFilter<WsException> {
  catch(exception: WsException, host: ArgumentsHost) {
    const client = host.switchToWs().getClient();
    const data = exception.getError();
    if ("terminate" in client) client.send(JSON.stringify({ event: "exception", data }));
    else client.emit("exception", data);
  }
}

@WebSocketGateway()
@UseGuards(RateLimitGuard)
@UseFilters(...(isNest11 ? [ExceptionsToClients] : []))
class Gateway {
  @SubscribeMessage("say")
  say(@MessageBody() data: unknown) {
    return { event: "said", data };
  }

  @SkipRateLimit()
  @SubscribeMessage("free")
  free() {
    return { event: "free", data: "" };
  }

  handleConnection(client: { request?: unknown }, request?: unknown) {
    client.request ??= request;
  }
}

@WebSocketGateway()
@UseGuards(RateLimitGuard)
class Forgetful {
  @SubscribeMessage("say")
  say() {
    return { event: "said", data: "" };
  }
}

const metadataFor = (gateway: new () => object, options: Partial<TrypemaModuleOptions> = {}) => ({
  imports: [
    TrypemaModule.forRoot({
      provider: createLocalProvider({ clock: () => 0 }),
      limit: 2,
      onNotice: false,
      ...options,
    } as TrypemaModuleOptions),
  ],
  providers: [gateway],
});

const DENIED = {
  status: "error",
  message: "Too many requests. Try again in 60 s.",
  code: "TOO_MANY_REQUESTS",
  reason: "quota-exceeded",
  limiter: "default",
  retryAfterSeconds: 60,
};

/** Of two messages that one address may send, each of two connections sends one, so neither may send another. */
async function expectShared(kind: string, served: Served, forwardedFor: readonly string[]): Promise<void> {
  const clients = [];
  for (const address of forwardedFor) clients.push(await connect(kind, served, { "x-forwarded-for": address }));
  const events = [];
  for (const [i, client] of [...clients, ...clients].entries()) {
    events.push((await client.ask("say", likeRequestFrom(`192.0.2.${i}`)))[0]);
  }
  same(events, ["said", "said", "exception", "exception"]);
  for (const client of clients) client.close();
}

/** Data that looks like the requests of all platforms, from an address of the sender's choice. */
function likeRequestFrom(address: string): object {
  const message = { headers: { "x-forwarded-for": address }, socket: { remoteAddress: address }, ip: address };
  return { ...message, raw: message, request: message, req: message, handshake: { address }, tenant: undefined };
}

const ofKind: Record<string, (kind: keyof typeof adapters) => unknown> = {
  "the recipe limits messages and charges what they cost": (kind) =>
    serving(
      SocketsModule,
      async (served) => {
        const client = await connect(kind, served);
        same((await client.ask("upload"))[0], "uploaded");
        same(await client.ask("say"), ["said", "hello"]);
        same((await client.ask("upload"))[0], "exception");
        same((await client.ask("say"))[0], "said");
        const [event, data] = await client.ask("say");
        same([event, (data as { limiter: string }).limiter], ["exception", "messages"]);
        client.close();
      },
      PLATFORMS.Express,
      adapters[kind],
    ),

  "a denied message is answered with the exception of Nest, which says why and until when": (kind) =>
    servingModule(
      metadataFor(Gateway),
      async (served) => {
        const client = await connect(kind, served);
        const answers = [await client.ask("say", 1), await client.ask("say", 2), await client.ask("say", 3)];
        same(answers, [
          ["said", 1],
          ["said", 2],
          ["exception", DENIED],
        ]);
        same(await client.ask("free"), ["free", ""]);
        client.close();
        same(served.log.errors, []);
      },
      PLATFORMS.Express,
      undefined,
      adapters[kind],
    ),

  "connections of one address share its limit, and behind a proxy that is named those of one client": (kind) =>
    servingModule(
      metadataFor(Gateway, { key: clientAddress({ proxies: 1 }) }),
      async (served) => {
        const clients = [];
        for (const address of ["203.0.113.1", "203.0.113.1", "203.0.113.2"]) {
          clients.push(await connect(kind, served, { "x-forwarded-for": address }));
        }
        const events = [];
        for (const client of [...clients, ...clients]) events.push((await client.ask("say", ""))[0]);
        same(events, ["said", "said", "said", "exception", "exception", "said"]);
        for (const client of clients) client.close();
      },
      PLATFORMS.Express,
      undefined,
      adapters[kind],
    ),

  "what clients write of their address, in headers or in messages, means nothing until proxies are named": (kind) =>
    servingModule(
      metadataFor(Gateway),
      (served) => expectShared(kind, served, ["203.0.113.1", "203.0.113.2"]),
      PLATFORMS.Express,
      undefined,
      adapters[kind],
    ),

  "a client that isn't a named proxy doesn't choose its address": (kind) =>
    servingModule(
      metadataFor(Gateway, { key: clientAddress({ proxies: ["192.0.2.0/24"] }) }),
      (served) => expectShared(kind, served, ["203.0.113.1", "203.0.113.2"]),
      PLATFORMS.Express,
      undefined,
      adapters[kind],
    ),

  "of what a named proxy sends, the entries that the client wrote itself mean nothing": (kind) =>
    servingModule(
      metadataFor(Gateway, { key: clientAddress({ proxies: ["loopback"] }) }),
      (served) => expectShared(kind, served, ["203.0.113.1, 198.51.100.7", "203.0.113.2, 198.51.100.7"]),
      PLATFORMS.Express,
      undefined,
      adapters[kind],
    ),

  "a client that is gone before its messages are decided harms nobody": (kind) => {
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = 0;
    let reached = () => {};
    const all = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const key = async () => {
      asked++;
      if (asked === 5) reached();
      if (asked <= 5) await gate;
      return "k";
    };
    return servingModule(
      metadataFor(Gateway, { key }),
      async (served) => {
        const gone = await connect(kind, served);
        for (let i = 0; i < 5; i++) gone.send("say", i);
        await all;
        gone.close();
        release();
        const client = await connect(kind, served);
        same((await client.ask("say"))[0], "exception");
        client.close();
        same(served.log.errors, []);
      },
      PLATFORMS.Express,
      undefined,
      adapters[kind],
    );
  },
};

@Controller()
@UseGuards(RateLimitGuard)
class Service {
  @MessagePattern("sum")
  sum({ numbers }: { numbers: number[] }) {
    return numbers.reduce((a, b) => a + b, 0);
  }
}

/** Starts a microservice besides the application, and asks it. */
function servingService(
  options: Partial<TrypemaModuleOptions>,
  use: (sum: (tenant: string, more?: object) => Promise<number>, served: Served) => unknown,
) {
  let address: AddressInfo;
  return servingModule(
    {
      imports: [
        TrypemaModule.forRoot({ provider: createLocalProvider(), limit: 2, ...options } as TrypemaModuleOptions),
      ],
      controllers: [Service],
    },
    async (served) => {
      const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { port: address.port } });
      const sum = (tenant: string, more: object = {}) =>
        firstValueFrom(client.send<number>("sum", { ...more, tenant, numbers: [1, 2] }));
      await use(sum, served);
      client.close();
    },
    PLATFORMS.Express,
    undefined,
    async (app) => {
      const service = app.connectMicroservice<MicroserviceOptions>({ transport: Transport.TCP, options: { port: 0 } });
      await app.startAllMicroservices();
      address = (
        service as unknown as { serverInstance: { server: { address(): AddressInfo } } }
      ).serverInstance.server.address();
    },
  );
}

export const promises: Record<string, () => unknown> = {
  "nestjs, ws: a gateway that doesn't keep the requests of its clients is told what to do": () =>
    servingModule(
      metadataFor(Forgetful),
      async (served) => {
        const client = await connect("ws", served);
        same((await client.ask("say"))[0], "exception");
        match(
          served.log.errors[0]!,
          /Forgetful.say .* in handleConnection\(client, request\) say client.request = request/,
        );
        client.close();
      },
      PLATFORMS.Express,
      undefined,
      adapters.ws,
    ),

  "nestjs, microservices: a limiter with a key of its own limits messages": () =>
    servingService({ key: ({ raw }) => raw.switchToRpc().getData().tenant }, async (sum) => {
      same([await sum("a"), await sum("a"), await sum("b")], [3, 3, 3]);
      await rejects(sum("a"), (error: Record<string, unknown>) => {
        same([error.status, error.code, error.limiter], ["error", "TOO_MANY_REQUESTS", "default"]);
        return true;
      });
    }),

  "nestjs, microservices: a limiter by address is refused, with what to do, whatever address a message says": () =>
    servingService({ onMissingKey: "skip" }, async (sum, { log }) => {
      await rejects(sum("a"));
      await rejects(sum("a", likeRequestFrom("203.0.113.1")));
      match(log.errors[0]!, /Service.sum isn't called by HTTP: give the limiter a key, or put @SkipRateLimit\(\)/);
    }),
};
for (const kind of Object.keys(adapters) as (keyof typeof adapters)[]) {
  for (const [promise, run] of Object.entries(ofKind)) promises[`nestjs, ${kind}: ${promise}`] = () => run(kind);
}
if (isNest11) {
  // These wait for exceptions that Nest 11 doesn't send.
  delete promises["nestjs, ws: the recipe limits messages and charges what they cost"];
  delete promises["nestjs, ws: a gateway that doesn't keep the requests of its clients is told what to do"];
}
