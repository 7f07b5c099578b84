// The answer to a denied request: by the user's responder, or the default one.

import { show, TrypemaError } from "../core/errors.ts";
import type { Awaitable } from "../core/types.ts";
import { type Denial, type DenialAnswer, defaultAnswer } from "./denial.ts";
import type { Fields } from "./headers.ts";
import type { HttpRequest } from "./request.ts";

/** Makes the answer to a denied request. */
export type Responder<Raw = unknown> = (denial: Denial, request: HttpRequest<Raw>) => Awaitable<DenialAnswer>;

/** An answer that replaces the handler's. */
export interface Answer {
  /** The HTTP status. */
  readonly status: number;
  /** The header fields, in the order in which they are sent. */
  readonly fields: Fields;
  /** The text to send; may be empty. */
  readonly body: string;
}

/** Statuses of responses that have no body. */
const WITHOUT_BODY: readonly unknown[] = [204, 205, 304];

/** @throws {TrypemaError} `INVALID_OPTION` for what no framework can send */
function checkAnswer({ status = 429, headers = {}, body = "" }: DenialAnswer): void {
  if (!Number.isInteger(status) || status < 200 || status > 599 || WITHOUT_BODY.includes(status)) {
    throw new TrypemaError(
      "INVALID_OPTION",
      `respond: got the status ${show(status)}, expected 200 to 599, with a body`,
    );
  }
  if (typeof body !== "string") throw new TrypemaError("INVALID_OPTION", `respond: got ${show(body)}, expected a text`);
  for (const [name, value] of Object.entries(headers)) {
    // The characters that RFC 9110, section 5, allows in names and values.
    if (/^[\w!#$%&'*+.^`|~-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value)) continue;
    throw new TrypemaError("INVALID_OPTION", `respond: got ${show(value)} for the header ${show(name)}`);
  }
}

/** Makes the answer with `fields`, the rate limit fields. Tells `onFailure` when `respond` fails. */
export async function answerTo<Raw>(
  denial: Denial,
  fields: Fields,
  request: HttpRequest<Raw>,
  respond: Responder<Raw> | undefined,
  onFailure: (error: unknown) => void,
): Promise<Answer> {
  const standard = defaultAnswer(denial, request.header("accept"));
  let { status, headers, body } = standard;
  try {
    const own = await respond?.(denial, request);
    if (own) checkAnswer(own);
    status = own?.status ?? status;
    // The default content type doesn't describe a body of the responder.
    if (own?.body !== undefined) headers = own.headers ?? { "content-type": "text/plain; charset=utf-8" };
    else headers = { ...headers, ...own?.headers };
    body = own?.body ?? body;
  } catch (error) {
    onFailure(error);
  }
  const head = headOf(denial, fields);
  return { status, fields: [...head.fields, ...Object.entries(headers).flat()], body };
}

/** The answer without what describes a body, and without a body. */
export function headOf({ status, retryAfterSeconds }: Denial, fields: Fields): Answer {
  const retry = retryAfterSeconds === undefined ? [] : ["retry-after", String(retryAfterSeconds)];
  return { status, fields: [...retry, ...fields], body: "" };
}
