// app/users.ts
import { Controller, Delete, Get, Inject, Module, Param, Req } from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { Redis } from "ioredis";
import { days, minutes, type Provider, seconds } from "trypema";
import { createHybridProvider } from "trypema/hybrid";
import { RateLimitGuard, RateLimits, requestOf, reservationOf, TRYPEMA_PROVIDER, TrypemaModule } from "trypema/nestjs";

/** The client of Redis and the provider are the application's, and so is closing them. */
export const LIMITS = Symbol("limits");

@Module({
  providers: [
    {
      provide: LIMITS,
      useFactory: () => {
        const client = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
        return { client, provider: createHybridProvider(client, { prefix: "users", onFailure: "local" }) };
      },
    },
  ],
  exports: [LIMITS],
})
class LimitsModule {
  constructor(@Inject(LIMITS) private readonly limits: { client: Redis; provider: Provider }) {}

  async onApplicationShutdown() {
    await this.limits.provider.close();
    this.limits.client.disconnect();
  }
}

@Controller("users")
class UsersController {
  constructor(
    private readonly limits: RateLimits,
    @Inject(TRYPEMA_PROVIDER) readonly provider: Provider,
  ) {}

  @Get("answer")
  async answer(@Req() request: object) {
    await reservationOf(request).adjust(99, "tokens"); // one was taken, and it really was a hundred
    return "answer";
  }

  @Get(":id/usage")
  async usage(@Param("id") id: string) {
    return (await this.limits.limiter("tokens").get(id)).total;
  }

  @Delete(":id/usage")
  async forget(@Param("id") id: string) {
    await this.limits.limiter("tokens").delete(id);
  }
}

const key = ({ raw }: { raw: Parameters<typeof requestOf>[0] }) => requestOf(raw).headers["x-user"];

@Module({
  imports: [
    TrypemaModule.forRootAsync({
      imports: [LimitsModule],
      inject: [LIMITS],
      useFactory: ({ provider }: { provider: Provider }) => ({
        provider,
        limiters: [
          { name: "burst", limit: 10, windowMs: seconds(1) },
          { name: "tokens", limit: 1_000, windowMs: days(1), bucketMs: minutes(1), key },
        ],
      }),
    }),
  ],
  controllers: [UsersController],
  providers: [{ provide: APP_GUARD, useExisting: RateLimitGuard }],
})
export class UsersModule {}
