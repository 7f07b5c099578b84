import { describe, expect, it, vi } from "vitest";
import { TrypemaError } from "./errors.ts";

describe("TrypemaError", () => {
  it("is an instance of the class of every copy of the package", async () => {
    vi.resetModules();
    const { TrypemaError: OfAnotherCopy } = await import("./errors.ts");
    expect(OfAnotherCopy).not.toBe(TrypemaError);
    expect(new TrypemaError("INVALID_KEY", "")).toBeInstanceOf(OfAnotherCopy);
    expect(new OfAnotherCopy("INVALID_KEY", "")).toBeInstanceOf(TrypemaError);
  });

  it("is nothing else", () => {
    const others = [new Error("x"), { code: "INVALID_KEY" }, Object.create(null), () => {}, "x", 1, null, undefined];
    for (const value of others) expect(value instanceof TrypemaError).toBe(false);
  });

  it("can be extended, and what extends it keeps the usual instanceof", () => {
    class OwnError extends TrypemaError {}
    const own = new OwnError("BACKEND_UNAVAILABLE", "");
    expect(own).toBeInstanceOf(OwnError);
    expect(own).toBeInstanceOf(TrypemaError);
    expect(new TrypemaError("BACKEND_UNAVAILABLE", "") instanceof OwnError).toBe(false);
  });

  it("shows nothing of how it is known", () => {
    const error = new TrypemaError("INVALID_RATE", "");
    expect(Reflect.ownKeys(error).sort()).toEqual(["code", "message", "name", "stack"]);
  });
});
