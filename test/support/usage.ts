// What always holds of a key's usage, whatever was called before.

import type { Provider, Usage } from "trypema";
import { expect } from "vitest";

/** Asserts what holds of every usage. */
export function expectSound({ total, declined, accepted, limit, suppressionFactor }: Usage): void {
  expect(Number.isSafeInteger(total) && total >= 0, `total: ${total}`).toBe(true);
  expect(Number.isSafeInteger(declined) && declined >= 0, `declined: ${declined}`).toBe(true);
  expect(declined).toBeLessThanOrEqual(total);
  expect(accepted).toBe(total - declined);
  // Only an unknown key has no limit and nothing counted.
  if (total === 0) expect({ limit, suppressionFactor }).toEqual({ limit: 0, suppressionFactor: 0 });
  else expect(limit).toBeGreaterThanOrEqual(1);
  expect(suppressionFactor).toBeGreaterThanOrEqual(0);
  expect(suppressionFactor).toBeLessThanOrEqual(1);
}

/** Asserts what holds of a key by either strategy, and gives both usages. */
export async function soundUsages({ absolute, suppressed }: Provider, key: string): Promise<Usage[]> {
  const usages = [await absolute.get(key), await suppressed.get(key)];
  for (const usage of usages) expectSound(usage);
  expect(usages[0]?.declined).toBe(0);
  return usages;
}
