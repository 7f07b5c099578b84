// app/sockets.ts
import type { IncomingMessage } from "node:http";
import { Module, UseGuards } from "@nestjs/common";
import { SubscribeMessage, WebSocketGateway } from "@nestjs/websockets";
import { seconds } from "trypema";
import { RateLimitCost, RateLimitGuard, TrypemaModule } from "trypema/nestjs";

@WebSocketGateway()
@UseGuards(RateLimitGuard)
export class ChatGateway {
  @SubscribeMessage("say")
  say() {
    return { event: "said", data: "hello" };
  }

  @SubscribeMessage("upload")
  @RateLimitCost(3)
  upload() {
    return { event: "uploaded", data: "" };
  }

  // With Socket.IO leave this out. With ws it keeps what the client's address is found in.
  handleConnection(client: { request?: IncomingMessage }, request?: IncomingMessage) {
    client.request ??= request;
  }
}

@Module({
  imports: [TrypemaModule.forRoot({ name: "messages", limit: 5, windowMs: seconds(10) })],
  providers: [ChatGateway],
})
export class SocketsModule {}
