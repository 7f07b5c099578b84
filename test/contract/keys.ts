// Whom a call counts for.

import { perSecond } from "trypema";
import { describe, expect, it } from "vitest";
import { admission, NOTHING, STRATEGIES } from "./expected.ts";
import type { Subject } from "./subject.ts";

export function describeKeys({ open }: Subject): void {
  describe.each(STRATEGIES)("%s", (strategy) => {
    it("limits every key by itself", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("a", perSecond(5), 5);
      expect(await limiter.inc("b", perSecond(5), 5)).toEqual(admission(5, 0));
    });

    it("shares nothing with the other strategy", async () => {
      const provider = await open();
      const other = provider[strategy === "absolute" ? "suppressed" : "absolute"];
      await other.inc("k", perSecond(5), 5);
      expect(await provider[strategy].get("k")).toEqual(NOTHING);
      await provider[strategy].clear();
      expect((await other.get("k")).total).toBe(5);
    });

    it("forgets a key on delete, and all of them on clear", async () => {
      const limiter = (await open())[strategy];
      await limiter.inc("a", perSecond(5), 3);
      await limiter.inc("b", perSecond(5), 5);
      await limiter.inc("c", perSecond(5), 5);
      expect(await limiter.delete("a")).toBe(3);
      expect(await limiter.get("a")).toEqual(NOTHING);
      expect((await limiter.get("b")).total).toBe(5);
      await limiter.clear();
      expect(await limiter.get("b")).toEqual(NOTHING);
      expect(await limiter.inc("c", perSecond(5), 5)).toEqual(admission(5, 0));
    });

    it("allows any call to an unknown key, and nothing but inc and setIf makes a key known", async () => {
      const limiter = (await open())[strategy];
      expect(await limiter.isAllowed("k", 7)).toMatchObject({ outcome: "allowed", allowed: true });
      expect(await limiter.get("k")).toEqual(NOTHING);
      expect(await limiter.adjust("k", 5)).toBe(0);
      expect(await limiter.adjust("k", -5)).toBe(0);
      expect(await limiter.delete("k")).toBe(0);
      expect(await limiter.get("k")).toEqual(NOTHING);
    });

    it("takes any text of 1 to 255 bytes as a key, and counts for each key by itself", async () => {
      const limiter = (await open())[strategy];
      const keys = [
        ..."{}* %$\n\0ab",
        "a:b",
        "{a}:b",
        "2001:db8::1",
        "__proto__",
        "constructor",
        "é",
        "e\u0301",
        "日本",
        "🐪",
      ];
      keys.push("x".repeat(255), "é".repeat(127), "🐪".repeat(63));
      for (const [i, key] of keys.entries()) await limiter.inc(key, perSecond(100), i + 1);
      for (const [i, key] of keys.entries()) expect([key, (await limiter.get(key)).total]).toEqual([key, i + 1]);
      for (const [i, key] of keys.entries()) expect(await limiter.delete(key)).toBe(i + 1);
    });
  });
}
