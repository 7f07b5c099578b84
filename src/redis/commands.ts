// How a script is given its arguments and how its reply is read, by name. `lua/commands.js` describes what each script
// takes and replies, and the types and the orders in `lua.generated.ts` are made of that.

import { numbersFrom } from "./reply.ts";
import type { Script } from "./script.ts";

/** A script with what it takes and what it replies. */
export interface Command<Arguments, Reply> extends Script {
  /** In the order in which the script takes them; then follows the list, and at last the time. */
  readonly arguments: readonly (keyof Arguments & string)[];
  /** The argument that is a list: its length, and the fields of each of its items. */
  readonly repeated?: { readonly list: keyof Arguments & string; readonly fields: readonly string[] };
  readonly reply: readonly (keyof Reply & string)[];
  /** The values of a reply by their names. */
  named(values: readonly number[]): Reply;
}

/** A command whose calls may share a script. */
export interface BatchedCommand<Arguments, Reply> extends Command<Arguments, Reply> {
  /** So many of its arguments, the last ones, no two calls have in common. */
  readonly ownOfCall: number;
}

interface Timed {
  readonly clockMs: number | undefined;
}

type Argument = number | string | boolean | undefined;

/** The arguments of a script, as EVALSHA takes them. */
export function argumentsOf<Arguments extends Timed, Reply>(
  command: Command<Arguments, Reply>,
  values: NoInfer<Arguments>,
): string[] {
  const named = values as Readonly<Record<string, unknown>>;
  const encoded = command.arguments.map((name) => argumentFrom(named[name] as Argument));
  const { repeated } = command;
  if (repeated !== undefined) {
    const items = named[repeated.list] as readonly Readonly<Record<string, Argument>>[];
    encoded.push(String(items.length));
    for (const item of items) for (const field of repeated.fields) encoded.push(argumentFrom(item[field]));
  }
  // Each argument costs Redis some 60 ns, so the time isn't sent where it is the server's.
  if (values.clockMs !== undefined) encoded.push(luaNumber(values.clockMs));
  return encoded;
}

/**
 * The fields of a reply that has them all.
 *
 * @throws {TrypemaError} `BACKEND_SCRIPT` for any other reply
 */
export function fieldsOf<Reply>(command: Command<never, Reply>, reply: unknown): Reply {
  return command.named(numbersFrom(reply, command.reply.length));
}

/**
 * Reads the replies of a command. Calls of a batch that are denied alike get the same reply, which is read once. With
 * `KeyNames.of`, which names a key once, that saves a quarter of the client's time for calls to a hot key.
 */
export class RepliesOf<Reply> {
  readonly #command: Command<never, Reply>;
  #last: unknown;
  #fields: Reply | undefined;

  constructor(command: Command<never, Reply>) {
    this.#command = command;
  }

  /** As {@link fieldsOf}. */
  read(reply: unknown): Reply {
    if (this.#fields === undefined || reply !== this.#last) {
      this.#fields = fieldsOf(this.#command, reply);
      this.#last = reply;
    }
    return this.#fields;
  }
}

function argumentFrom(value: Argument): string {
  if (typeof value === "number") return luaNumber(value);
  if (typeof value === "boolean") return value ? "1" : "0";
  return value ?? "";
}

/** A number as Lua reads it: it knows infinity by the name of C, and all others as JavaScript writes them. */
export function luaNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "inf";
  if (value === Number.NEGATIVE_INFINITY) return "-inf";
  return String(value);
}
