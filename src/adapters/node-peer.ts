// The peer of a message of node:http.

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** What knows the peer of a message. */
export type NodePeer = Pick<IncomingMessage, "socket">;

/** The address of the other end of the connection; `"unix"` for a unix socket. */
export function peerAddressOf({ socket }: NodePeer): string | undefined {
  return socket.remoteAddress ?? (isUnixSocket(socket) ? "unix" : undefined);
}

/** A peer without an address has disconnected, or came by the unix socket that the server listens on. */
function isUnixSocket(socket: Socket): boolean {
  const { server } = socket as Socket & { server?: { address?(): unknown } };
  return !socket.destroyed && typeof server?.address?.() === "string";
}
