import { describe, expect, it } from "vitest";
import { parseCommand, UserError } from "./options.ts";

it.each([
  { args: [], command: { name: "show", counter: "local", phaseSeconds: 9 } },
  { args: ["--phase-seconds", "20"], command: { name: "show", counter: "local", phaseSeconds: 20 } },
  { args: ["--serve"], command: { name: "serve", counter: "local", port: 3_000 } },
  { args: ["--serve", "--port", "0"], command: { name: "serve", counter: "local", port: 0 } },
  { args: ["--port=8080", "--serve"], command: { name: "serve", counter: "local", port: 8_080 } },
  { args: ["--redis"], command: { name: "show", counter: "redis", phaseSeconds: 9 } },
  { args: ["--redis", "--serve"], command: { name: "serve", counter: "redis", port: 3_000 } },
  { args: ["--hybrid"], command: { name: "show", counter: "hybrid", phaseSeconds: 9 } },
  { args: ["--serve", "--help"], command: { name: "help" } },
])("$args is understood", ({ args, command }) => {
  expect(parseCommand(args)).toEqual(command);
});

describe("a mistake is named, with what would do", () => {
  it.each([
    [["--port", "80x", "--serve"], '--port: got "80x", expected a whole number from 0 to 65535'],
    [["--port", "65536", "--serve"], '--port: got "65536", expected a whole number from 0 to 65535'],
    [["--port=", "--serve"], '--port: got "", expected a whole number from 0 to 65535'],
    [["--phase-seconds", "0"], '--phase-seconds: got "0", expected a whole number from 1 to 600'],
    [["--phase-seconds=-1"], '--phase-seconds: got "-1", expected a whole number from 1 to 600'],
    [["--phase-seconds", "1e2"], '--phase-seconds: got "1e2", expected a whole number from 1 to 600'],
    [["--port", "80"], "--port is for --serve: add that, or leave the port out"],
    [["--serve", "--phase-seconds", "3"], "--phase-seconds is for the demo without --serve"],
    [["--redis", "--hybrid"], "--hybrid counts in Redis too: leave --redis out"],
    [["--fast"], "Unknown option '--fast'; --help lists the options"],
    [["fast"], "Unexpected argument 'fast'; --help lists the options"],
    [["--port", "--serve"], "Option '--port' argument is ambiguous; --help lists the options"],
  ])("%j", (args, message) => {
    expect(() => parseCommand(args)).toThrow(new UserError(message));
  });
});
