// What the limiters look at of a request and of its response, whatever framework they come from.

import { show, TrypemaError } from "../core/errors.ts";

/** A request. Adapters make one over their framework's own, which is `raw`. */
export interface HttpRequest<Raw = unknown> {
  /** The framework's own request, with everything else: a user, a session, a parsed body. */
  readonly raw: Raw;
  /** The method, in upper case. */
  readonly method: string;
  /** Of the request target, without the query. */
  readonly path: string;
  /**
   * The address of the other end of the connection; `"unix"` for a unix socket; undefined when the runtime doesn't tell
   * it.
   */
  readonly peerAddress: string | undefined;
  /**
   * Whether the request has been answered. Until then, a guard that gets the same `raw` again doesn't count it again.
   * If an adapter of your own leaves this field out, each check of a guard counts. That is right for messages of one
   * socket, or the operations of one GraphQL request.
   */
  readonly isAnswered?: boolean | undefined;
  /**
   * The framework's setting for its proxies, such as `trust proxy`, if it is set. Limiters don't use it: a limiter that
   * has no setting of its own gives a notice.
   */
  readonly proxySetting?: string | undefined;
  /**
   * Returns the header with this name, which is in lower case. Several lines of the same name are one value, joined by
   * commas. You may call it without the object: `({ header }) => header("x-api-key")`.
   */
  readonly header: (name: string) => string | undefined;
}

/** The response to a request, in one form for all frameworks. */
export interface HttpResponse {
  /** The status that the client gets. */
  readonly status: number;
  /**
   * Returns the header with this name, which is in lower case. Several lines of the same name are one value, joined by
   * commas.
   */
  readonly header: (name: string) => string | undefined;
}

/** A request of an adapter of this package. One is made for each request, so methods are bound only when taken out. */
export abstract class AdapterRequest<Raw> implements HttpRequest<Raw> {
  abstract readonly raw: Raw;
  abstract readonly method: string;
  abstract readonly path: string;
  abstract readonly peerAddress: string | undefined;
  abstract readonly isAnswered: boolean | undefined;

  get proxySetting(): string | undefined {
    return undefined;
  }

  get header(): (name: string) => string | undefined {
    return (name) => this.headerOf(name);
  }

  abstract headerOf(name: string): string | undefined;
}

/** A request of somebody else's adapter, whose `header` may need its `this`. */
export class ForeignRequest<Raw> extends AdapterRequest<Raw> {
  readonly raw: Raw;
  readonly #request: HttpRequest<Raw>;

  /** @throws {TrypemaError} `INVALID_OPTION` unless `raw` is an object, by which the request is known again */
  constructor(request: HttpRequest<Raw>) {
    super();
    if (!isObject(request.raw)) {
      throw new TrypemaError(
        "INVALID_OPTION",
        `request.raw: got ${show(request.raw)}, expected an object of this request`,
      );
    }
    this.raw = request.raw;
    this.#request = request;
  }

  get method(): string {
    return this.#request.method;
  }

  get path(): string {
    return this.#request.path;
  }

  get peerAddress(): string | undefined {
    return this.#request.peerAddress;
  }

  get isAnswered(): boolean | undefined {
    return this.#request.isAnswered;
  }

  override get proxySetting(): string | undefined {
    return this.#request.proxySetting;
  }

  headerOf(name: string): string | undefined {
    return this.#request.header(name);
  }
}

/** Whether something can be kept with a value. */
export function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/** The path of a request target, `/a?b` or `http://host/a?b`. */
export function pathOf(target: string): string {
  const end = target.indexOf("?");
  const path = end === -1 ? target : target.slice(0, end);
  if (path.startsWith("/")) return path;
  return /^[a-z][a-z0-9+.-]*:\/\/[^/]*(\/.*)$/i.exec(path)?.[1] ?? "/";
}
