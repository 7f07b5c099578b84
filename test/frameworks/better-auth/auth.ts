// auth.ts
import { betterAuth } from "better-auth";
import { createLocalProvider } from "trypema";
import { rateLimitStorage } from "trypema/better-auth";

export const auth = betterAuth({
  secret: process.env.BETTER_AUTH_SECRET ?? "a secret of thirty-two characters or more",
  baseURL: "http://localhost:3000",
  emailAndPassword: { enabled: true },
  rateLimit: {
    enabled: true, // without this only in production
    customStorage: rateLimitStorage(createLocalProvider()),
  },
});
