import { show, TrypemaError } from "./errors.ts";

/** The longest key, in UTF-8. A UTF-16 unit of a key has at most 3 of these bytes. */
export const MAX_KEY_BYTES = 255;

/**
 * @throws {TrypemaError} `INVALID_KEY` unless a non-empty string of at most 255 UTF-8 bytes. Lone
 *   surrogates have no UTF-8 form (two such keys would be one in Redis), so they are errors too.
 */
export function checkKey(key: string): void {
  if (typeof key !== "string") {
    throw new TrypemaError("INVALID_KEY", `key: got ${show(key)}, expected a string`);
  }
  if (key.length === 0) throw new TrypemaError("INVALID_KEY", "key: got an empty string, expected a name");
  if (utf8Length(key) > MAX_KEY_BYTES) {
    throw new TrypemaError(
      "INVALID_KEY",
      `key: got ${show(key)}, expected at most ${MAX_KEY_BYTES} bytes of UTF-8; hash long keys`,
    );
  }
  if (!key.isWellFormed()) {
    throw new TrypemaError("INVALID_KEY", `key: got ${show(key)}, which has a lone surrogate and so is not Unicode`);
  }
}

/** A text of too many UTF-16 units isn't counted, because each unit takes at least one byte of UTF-8. */
function utf8Length(text: string): number {
  if (text.length > MAX_KEY_BYTES) return text.length;
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800 || (unit >= 0xd800 && unit < 0xe000)) bytes += 2;
    else bytes += 3;
  }
  return bytes;
}

let lastCopy = "";

/**
 * The same text with memory of its own, for whoever keeps a key. A key may be a piece of a header of many kilobytes,
 * and V8 keeps the whole text of which a piece of 13 characters or more was cut. To join two pieces makes a new text.
 *
 * A key that comes again at once gets the same copy. That is so in a take, where each limit keeps the key: three limits
 * then take 324 instead of 403 bytes for a key of 14 to 19 characters.
 */
export function copyOf(text: string): string {
  if (text !== lastCopy) lastCopy = text.length < 13 ? text : [text.slice(0, 12), text.slice(12)].join("");
  return lastCopy;
}
