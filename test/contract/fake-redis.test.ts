import { createFakeRedisProvider } from "trypema/testing";
import { describeProvider } from "./contract.ts";

describeProvider("Redis, faked", (options) => createFakeRedisProvider(options));
