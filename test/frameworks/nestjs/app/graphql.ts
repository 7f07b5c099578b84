// app/graphql.ts

import { ApolloDriver, type ApolloDriverConfig } from "@nestjs/apollo";
import { Module } from "@nestjs/common";
import { APP_GUARD } from "@nestjs/core";
import { GraphQLModule, Mutation, Query, Resolver } from "@nestjs/graphql";
import { minutes } from "trypema";
import { RateLimit, RateLimitGuard, TrypemaModule } from "trypema/nestjs";

@Resolver()
export class AppResolver {
  @Query(() => String)
  hello() {
    return "hello";
  }

  @Mutation(() => String)
  @RateLimit({ name: "login", limit: 2, windowMs: minutes(15) })
  login() {
    return "welcome";
  }
}

@Module({
  imports: [
    TrypemaModule.forRoot({ limit: 60, windowMs: minutes(1) }),
    GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
  ],
  providers: [AppResolver, { provide: APP_GUARD, useExisting: RateLimitGuard }],
})
export class GraphqlModule {}
