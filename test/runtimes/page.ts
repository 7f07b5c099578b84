// The suite in a page: for browsers.

import { runSuite } from "./suite.ts";

Object.assign(globalThis, { summary: runSuite() });
