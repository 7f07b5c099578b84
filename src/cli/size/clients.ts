// The clients of a log, each with a number.

import { checkKey, copyOf } from "../../core/key.ts";
import { nameOf, parseAddress } from "../../http/address.ts";
import { Failure } from "../command.ts";
import { grouped } from "../text.ts";

/** A Map has no more entries than 2^24, and the names of so many clients take about a gigabyte. */
const MOST_CLIENTS = 10_000_000;

/** Always holds: the number of a client is its place in `names`. */
export class Clients {
  readonly names: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #ipv6Bits: number;

  /** @param ipv6Bits how many bits of an IPv6 address make a client, as for `clientAddress` of the HTTP limits */
  constructor(ipv6Bits: number) {
    this.#ipv6Bits = ipv6Bits;
  }

  /**
   * The number of the client of this name, which is a new one for a new name.
   *
   * @throws {TrypemaError} `INVALID_KEY` for a name that no limiter would take
   */
  numberOf(written: string): number {
    const name = written.includes(":") ? this.#nameOfAddress(written) : written;
    return this.#numbers.get(name) ?? this.#add(name);
  }

  #nameOfAddress(written: string): string {
    const address = parseAddress(written);
    return address === undefined ? written : nameOf(address, this.#ipv6Bits);
  }

  #add(part: string): number {
    checkKey(part);
    if (this.names.length === MOST_CLIENTS) {
      throw new Failure(
        `more than ${grouped(MOST_CLIENTS)} clients: ` +
          "give a part of the log, or name a field with fewer values as --client",
      );
    }
    // A copy, because a part of the log would keep 64 kB of the log in memory.
    const name = copyOf(part);
    const number = this.names.push(name) - 1;
    this.#numbers.set(name, number);
    return number;
  }
}
