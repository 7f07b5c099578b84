// app/throttler.ts
import { Controller, Get, Module } from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { ThrottlerGuard, ThrottlerModule } from "@nestjs/throttler";
import { createLocalProvider, minutes } from "trypema";
import { throttlerStorage } from "trypema/nestjs";

@Controller()
class AppController {
  @Get()
  hello() {
    return "hello";
  }
}

@Module({
  imports: [
    ThrottlerModule.forRoot({
      throttlers: [{ ttl: minutes(1), limit: 10 }],
      storage: throttlerStorage(createLocalProvider()), // the line that changes
    }),
  ],
  controllers: [AppController],
  providers: [{ provide: APP_GUARD, useClass: ThrottlerGuard }],
})
export class ThrottledModule {}
