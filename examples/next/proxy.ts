// proxy.ts
import { type NextRequest, NextResponse } from "next/server";
import { createLocalProvider, perMinute } from "trypema";
import { clientAddress, rateLimit } from "trypema/fetch";

export const proxy = rateLimit(
  { provider: createLocalProvider(), rate: perMinute(60), key: clientAddress({ proxies: 1 }) },
  (_request: NextRequest) => NextResponse.next(),
);

export const config = { matcher: "/api/:path*" };
