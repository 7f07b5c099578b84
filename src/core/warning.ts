// How the package speaks up by itself, where nobody has said whom it should tell.

/** The codes of warnings that aren't notices of a limiter for HTTP. */
export type WarningCode = "DEGRADED" | "RECOVERED" | "LISTENER_FAILED";

/** A warning of the process where there is one, with the type `TrypemaNotice`; else `console.warn` writes it. */
export function warn(code: string, text: string): void {
  const { process } = globalThis as { process?: { emitWarning?(text: string, options: object): void } };
  if (typeof process?.emitWarning === "function") process.emitWarning(text, { type: "TrypemaNotice", code });
  else console.warn(`TrypemaNotice ${code}: ${text}`);
}
