import fc from "fast-check";
import { expect, it } from "vitest";
import { Lease } from "./lease.ts";
import { rowAlone } from "./rows.ts";

const WINDOW_MS = 1_000;
const LEASE_MS = 100;

it("a lease is spent up to its size, and what is left goes with its expiry", () => {
  const lease = new Lease(rowAlone());
  expect(lease.left).toBe(0);
  lease.noteSetAside(10, LEASE_MS + WINDOW_MS);
  lease.refresh(10, 0, LEASE_MS);
  lease.trySpend(3);
  expect(lease.left).toBe(7);
  lease.expire(LEASE_MS - 1);
  expect(lease.left).toBe(7);
  lease.expire(LEASE_MS);
  expect(lease.left).toBe(0);
});

it("a call above the capacity takes what is left of a lease first, and then headroom", () => {
  const lease = new Lease(rowAlone());
  lease.noteSetAside(10, LEASE_MS + WINDOW_MS);
  lease.refresh(3, 5, LEASE_MS);
  expect(lease.headroom).toBe(5);
  lease.spendAbove(2);
  expect([lease.left, lease.headroom]).toEqual([1, 5]);
  lease.spendAbove(3);
  expect([lease.left, lease.headroom]).toEqual([0, 3]);
  expect(lease.setAside).toBe(0);
  lease.shrinkTo(0, 2);
  expect(lease.headroom).toBe(2);
  lease.expire(LEASE_MS);
  expect(lease.headroom).toBe(0);
});

it("Redis may have something set aside from the question on, until a window after the lease has expired", () => {
  const lease = new Lease(rowAlone());
  expect(lease.isSetAside(0)).toBe(false);
  lease.noteSetAside(10, LEASE_MS + WINDOW_MS); // whose answer is lost
  expect(lease.isSetAside(LEASE_MS + WINDOW_MS - 1)).toBe(true);
  expect(lease.isSetAside(LEASE_MS + WINDOW_MS)).toBe(false);
});

it("a lease that Redis says is returned is set aside no longer", () => {
  const lease = new Lease(rowAlone());
  lease.noteSetAside(10, LEASE_MS + WINDOW_MS);
  lease.refresh(10, 0, LEASE_MS);
  lease.shrinkTo(0, 0);
  expect(lease.isSetAside(1)).toBe(true);
  lease.end();
  expect(lease.isSetAside(1)).toBe(false);
});

it("what is not spent is set aside until a report gives it back, and what is asked for may be set aside at once", () => {
  const lease = new Lease(rowAlone());
  lease.noteSetAside(10, LEASE_MS + WINDOW_MS);
  expect(lease.setAside).toBe(10);
  lease.refresh(8, 0, LEASE_MS);
  lease.trySpend(3);
  lease.shrinkTo(1, 0);
  expect(lease.setAside).toBe(5);
  lease.noteSetAside(2, LEASE_MS + WINDOW_MS);
  expect(lease.setAside).toBe(3);
  lease.end();
  expect(lease.setAside).toBe(0);
});

it("whatever happens, a lease is never negative, never spent after its expiry, and set aside while anything is left", () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ what: fc.constant("grant" as const), count: fc.integer({ min: 0, max: 20 }) }),
      fc.record({ what: fc.constant("spend" as const), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ what: fc.constant("shrink" as const), count: fc.integer({ min: 0, max: 10 }) }),
      fc.record({ what: fc.constant("wait" as const), count: fc.integer({ min: 1, max: 150 }) }),
    ),
    { maxLength: 50 },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const lease = new Lease(rowAlone());
      let nowMs = 0;
      let left = 0;
      let expiryMs = Number.NEGATIVE_INFINITY;
      for (const { what, count } of list) {
        if (what === "wait") nowMs += count;
        lease.expire(nowMs);
        if (nowMs >= expiryMs) left = 0;
        if (what === "grant") {
          expiryMs = nowMs + LEASE_MS;
          lease.noteSetAside(count, expiryMs + WINDOW_MS);
          lease.refresh(count, 0, expiryMs);
          left += count;
        }
        if (what === "spend" && count <= left) {
          lease.trySpend(count);
          left -= count;
        }
        if (what === "shrink") {
          lease.shrinkTo(count, 0);
          left = Math.min(left, count);
        }
        expect(lease.left).toBe(left);
        expect(lease.left).toBeGreaterThanOrEqual(0);
        expect(lease.setAside).toBeGreaterThanOrEqual(lease.left);
        if (lease.left > 0) {
          expect(nowMs).toBeLessThan(lease.expiryMs);
          expect(lease.isSetAside(nowMs)).toBe(true);
        }
      }
    }),
  );
});
