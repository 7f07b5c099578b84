import { createHash } from "node:crypto";
import fc from "fast-check";
import { createLocalProvider, type Provider, perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { Guard } from "./guard.ts";
import { combined, derivedKey, requestHeader, storedKey, storedSharedKey } from "./keys.ts";
import type { HttpRequest } from "./request.ts";

function request(headers: Record<string, string>): HttpRequest {
  return { raw: {}, method: "GET", path: "/", peerAddress: "203.0.113.7", header: (name) => headers[name] };
}

describe("a key of a header", () => {
  it("is its value, or the hash of it", async () => {
    const from = request({ "x-api-key": "secret" });
    expect(requestHeader("X-API-Key")(from)).toBe("secret");
    const hashed = createHash("sha256").update("secret").digest("hex");
    expect(await requestHeader("x-api-key", { hash: true })(from)).toBe(hashed);
    expect(requestHeader("x-api-key", { hash: true })(request({}))).toBeUndefined();
  });

  it.each(["", "a b", "a:b", "ä", 7])("has no name like %j", (name) => {
    expect(() => requestHeader(name as string)).toThrow(/header: got/);
  });

  it("has no option that isn't known, so that a secret is never stored because of a misspelt one", () => {
    const made = () => requestHeader("x-api-key", { hashed: true } as never);
    expect(made).toThrow(/requestHeader.hashed is not an option/);
  });
});

describe("a combined key", () => {
  const ofParts = (parts: string[]) => combined(...parts.map((part) => () => part))(request({}));

  it("is as many keys as there are parts, and none when one is missing", () => {
    expect(ofParts(["a", "b"])).toBe("a|b");
    expect(combined(requestHeader("a"), requestHeader("b"))(request({ a: "1" }))).toBeUndefined();
    expect(() => combined()).toThrow(/combined: got an array, expected keys/);
    expect(() => combined(requestHeader("a"), "b" as never)).toThrow(/combined: got an array, expected keys/);
  });

  it("is never that of other parts", () => {
    const parts = fc.array(fc.string({ unit: fc.constantFrom("|", "\\", "a"), minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(parts, parts, (some, others) => {
        expect(ofParts(some) === ofParts(others)).toBe(JSON.stringify(some) === JSON.stringify(others));
      }),
      { seed: 5, numRuns: 5_000 },
    );
  });

  it("leaves no promise behind when a later part throws", async () => {
    const throwing = () => {
      throw new Error("boom");
    };
    const key = combined(async () => "a", throwing);
    await expect(key(request({}))).rejects.toThrow("boom");
  });
});

describe("a stored key", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 400 }),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 400 }),
    fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 80 }).map((units) => {
      return String.fromCharCode(...units);
    }),
  );

  it("is one that providers take, whatever the key, and of one limiter and key only", async () => {
    const { absolute } = createLocalProvider();
    const seen = new Map<string, string>();
    await fc.assert(
      fc.asyncProperty(texts, fc.constantFrom("", "a:", "b:", `${"x".repeat(60)}:`), async (key, prefix) => {
        const stored = await storedKey(prefix, key);
        expect(absolute.inc(stored, perSecond(1_000)).allowed).toBe(true);
        // A limiter without a prefix counts in a place of its own.
        const place = `${prefix !== ""} ${stored}`;
        const meaning = JSON.stringify([prefix, key]);
        expect(seen.get(place) ?? meaning).toBe(meaning);
        seen.set(place, meaning);
        expect(stored).not.toBe(storedSharedKey(prefix, key));
      }),
      { seed: 5, numRuns: 2_000 },
    );
  });

  it.each([1, 14, 300])("is one that another provider takes in a scope of %d characters", async (length) => {
    const local: Provider = createLocalProvider();
    const absolute = { inc: local.absolute.inc.bind(local.absolute) } as Provider["absolute"];
    const provider = { absolute, suppressed: local.suppressed, windowMs: local.windowMs } as Provider;
    for (const name of ["x".repeat(60), "x".repeat(59)]) {
      for (const scope of ["C".repeat(length), "D".repeat(length)]) {
        for (const key of ["\u20ac".repeat(60), "\u20ac".repeat(61), "a"]) {
          const guard = new Guard({ provider, limit: 1, name, scope, key: () => key });
          expect((await guard.check(request({}))).answer).toBeUndefined();
          expect((await guard.check(request({}))).answer?.status).toBe(429);
        }
      }
    }
  });

  it("of a text that isn't Unicode is never that of the text which escapes it", async () => {
    const user = `\ud800${"x".repeat(60)}`;
    expect(await storedKey("", user)).not.toBe(await storedKey("", JSON.stringify(user)));
  });

  it("is a value at once unless it has to be hashed", () => {
    expect(storedKey("a:", "203.0.113.7")).toBe("a:203.0.113.7");
    expect(storedKey("", "x".repeat(60))).toBe("x".repeat(60));
    expect(storedKey("", "x".repeat(61))).toBeInstanceOf(Promise);
    expect(storedKey("", "!x")).toBeInstanceOf(Promise);
  });
});

describe("a derived key", () => {
  it("is not made of what is no key", async () => {
    for (const key of ["", Number.NaN, undefined as never]) {
      await expect(derivedKey(key)).rejects.toMatchObject({ code: "INVALID_KEY" });
    }
    await expect(derivedKey({ shared: "" })).rejects.toMatchObject({ code: "INVALID_OPTION" });
    await expect(derivedKey("k", { hashed: true } as never)).rejects.toMatchObject({ code: "INVALID_OPTION" });
    expect(await derivedKey(7n)).toBe("7");
  });
});
