// server.ts
import { createHTTPServer } from "@trpc/server/adapters/standalone";
import { limitedProcedure, router } from "./limits.ts";

const notes: string[] = [];

const appRouter = router({
  list: limitedProcedure.query(() => notes),
  add: limitedProcedure.mutation(() => notes.push("a note")),
});

export type AppRouter = typeof appRouter;

createHTTPServer({
  router: appRouter,
  createContext: ({ req }) => ({ user: req.headers.authorization ?? "nobody" }), // whom you have authenticated
}).listen(Number(process.env.PORT ?? 3000));
