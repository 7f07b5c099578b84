import { checkCountdown, checkLastAndDenied, startServer } from "../check.ts";

const { url, stop } = await startServer("server.ts");

await checkCountdown(url, 1);
await checkLastAndDenied(url);

stop();
