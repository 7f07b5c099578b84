// What every provider promises, one file a theme. Local, Redis and Hybrid run all of it unchanged. It awaits everything
// and drives time and random numbers itself.

import { describe } from "vitest";
import { describeAbsolute } from "./absolute.ts";
import { describeBlocks } from "./blocks.ts";
import { describeCorrections } from "./corrections.ts";
import { describeHostileInput } from "./hostile-input.ts";
import { describeKeys } from "./keys.ts";
import { describePacing } from "./pacing.ts";
import { describeRates } from "./rates.ts";
import { type MakeProvider, useSubject } from "./subject.ts";
import { describeSuppressed } from "./suppressed.ts";
import { describeWeights } from "./weights.ts";
import { describeWindow } from "./window.ts";
import { describeWindows } from "./windows.ts";

export type { MakeProvider };

const THEMES = [
  describeAbsolute,
  describeSuppressed,
  describeWindow,
  describeWindows,
  describeBlocks,
  describeKeys,
  describeRates,
  describePacing,
  describeCorrections,
  describeWeights,
  describeHostileInput,
];

export function describeProvider(name: string, makeProvider: MakeProvider): void {
  describe(name, () => {
    const subject = useSubject(makeProvider);
    for (const describeTheme of THEMES) describeTheme(subject);
  });
}
