// app/app.ts
import { Controller, Get, Module, Post } from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { hours, minutes } from "trypema";
import { RateLimit, RateLimitCost, RateLimitGuard, SkipRateLimit, TrypemaModule } from "trypema/nestjs";

@Controller()
export class AppController {
  @Get()
  hello() {
    return "hello";
  }

  @Get("report")
  @RateLimitCost(10)
  report() {
    return "ten times as much work";
  }

  @Post("login")
  @RateLimit({ name: "login", limit: 5, windowMs: minutes(15), blockMs: hours(1) })
  login() {
    return "welcome";
  }

  @Get("health")
  @SkipRateLimit()
  health() {
    return "well";
  }
}

@Module({
  imports: [TrypemaModule.forRoot({ limit: 60, windowMs: minutes(1) })],
  controllers: [AppController],
  providers: [{ provide: APP_GUARD, useExisting: RateLimitGuard }],
})
export class AppModule {}
