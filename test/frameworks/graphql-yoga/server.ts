// server.ts
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { limitPoints } from "./limits.ts";

const typeDefs = "type Query { hello: String! search(text: String!): [Hit!]! } type Hit { title: String! }";
const resolvers = {
  Query: {
    hello: () => "world",
    search: { extensions: { complexity: 30 }, resolve: () => [{ title: "one" }, { title: "two" }] },
  },
};

const yoga = createYoga({ schema: createSchema({ typeDefs, resolvers }), plugins: [limitPoints], logging: "warn" });
createServer(yoga).listen(Number(process.env.PORT ?? 4000));
