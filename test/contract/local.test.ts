import { createLocalProvider } from "trypema";
import { describeProvider } from "./contract.ts";

describeProvider("Local", (options) => createLocalProvider(options));
