// app/root.tsx
import { Outlet, Scripts } from "react-router";
import { limitRequests } from "./rate-limit.server.ts";

export const middleware = [limitRequests];

export default function Root() {
  return (
    <html lang="en">
      <body>
        <Outlet />
        <Scripts />
      </body>
    </html>
  );
}
