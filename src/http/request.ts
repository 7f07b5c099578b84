// What of a request the limiters look at, whatever framework it comes from.

/** A request. Adapters make one over their framework's own, which is `raw`. */
export interface HttpRequest<Raw = unknown> {
  /** The framework's own request, for what isn't here: a user, a session, a parsed body. */
  readonly raw: Raw;
  /** The method, in upper case. */
  readonly method: string;
  /** Of the request target, without the query. */
  readonly path: string;
  /** The address of the other end of the connection; `"unix"` for a unix socket; undefined when nobody can tell. */
  readonly peerAddress: string | undefined;
  /**
   * Whether the request has been answered. While it has not, a guard that meets its `raw` again counts nothing more.
   * An adapter of your own that leaves this out has each check of a guard count: messages of one socket, say, or the
   * operations of one GraphQL request.
   */
  readonly isAnswered?: boolean;
  /** A header by its name in lower case. Several lines of the same name are one value, joined by commas. */
  header(name: string): string | undefined;
}

/** The path of a request target, `/a?b` or `http://host/a?b`. */
export function pathOf(target: string): string {
  const end = target.indexOf("?");
  const path = end === -1 ? target : target.slice(0, end);
  if (path.startsWith("/")) return path;
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]*(\/.*)$/i.exec(path)?.[1] ?? "/";
}
