// server/middleware/rate-limit.ts
import { defineEventHandler, getRequestHeader, getRequestIP, type H3Event, setHeader, setResponseStatus } from "h3";
import { createLocalProvider, perMinute } from "trypema";
import { Guard, pathOf } from "trypema/http";

const guard = new Guard<H3Event>({
  provider: createLocalProvider(),
  rate: perMinute(60),
  onMissingKey: "skip", // what a page fetches from its own server has no address, and isn't counted
});

export default defineEventHandler(async (event) => {
  const { answer, fields } = await guard.check({
    raw: event,
    method: event.method,
    path: pathOf(event.path),
    peerAddress: getRequestIP(event),
    header: (name) => getRequestHeader(event, name),
  });
  const all = answer?.fields ?? fields;
  for (let i = 0; i < all.length; i += 2) setHeader(event, all[i]!, all[i + 1]!);
  if (answer === undefined) return undefined;
  setResponseStatus(event, answer.status);
  return answer.body;
});
