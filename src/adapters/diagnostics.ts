// `trypema/diagnostics`: the events of providers on Node's diagnostics channels.

import { channel } from "node:diagnostics_channel";
import { TrypemaError } from "../core/errors.ts";
import { EVENT_TYPES, type ProviderEvent } from "../core/events.ts";
import { familyOf } from "../core/family.ts";
import type { Provider } from "../core/types.ts";

/** What subscribers of the channels get: an event, and the name under which its provider publishes. */
export type DiagnosticsMessage = ProviderEvent & {
  /** The name that {@link publishEvents} was given. */
  readonly provider: string;
};

const channels = new Map(EVENT_TYPES.map((type) => [type, channel(`trypema:${type}`)]));

/**
 * Publishes the events of a provider, and of the providers of its `withWindow`, on the channels `trypema:degraded`,
 * `trypema:breaker-opened` and so on: one for each type. A channel without subscribers gets nothing. `onEvent`, and the
 * warnings of a provider without `onEvent`, stay as they are.
 *
 * @param name names the provider in the messages
 * @returns a function that stops it
 * @throws {TrypemaError} `INVALID_OPTION` for a provider that isn't of this package
 * @example
 * const provider = createLocalProvider({ maxKeys: 100_000 });
 * const stop = publishEvents(provider, "addresses");
 */
export function publishEvents(provider: Provider, name = "default"): () => void {
  const watch = familyOf(provider)?.watch;
  if (watch === undefined) throw new TrypemaError("INVALID_OPTION", "provider: expected a provider of this package");
  return watch.listen((event) => {
    const target = channels.get(event.type)!;
    if (target.hasSubscribers) target.publish({ ...event, provider: name } satisfies DiagnosticsMessage);
  });
}
