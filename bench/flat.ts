// Whether a call costs the same however many buckets its key has: run alone, and sends a row for
// each kind of call, with a figure for each of BUCKET_COUNTS. The clock is its own, so that time
// passes at the rate the buckets need.

import { createLocalProvider, perSecond } from "trypema";
import { median } from "./workloads.ts";

export const BUCKET_COUNTS = [1, 10, 100, 1_000, 6_000, 86_400];

const BUCKET_MS = 10;
const CALLS_A_TURN = 200_000;
const TURNS = 7;

type Call = () => void;

/** Limiters whose window has `buckets`, with time that passes by one. */
function open(buckets: number) {
  let nowMs = 0;
  const passBucket = () => {
    nowMs += BUCKET_MS;
  };
  const windowMs = buckets * BUCKET_MS;
  return { ...createLocalProvider({ windowMs, bucketMs: BUCKET_MS, clock: () => nowMs }), passBucket };
}

const kinds: Record<string, (buckets: number) => Call> = {
  "absolute, admitted: one bucket comes, one goes"(buckets) {
    const { absolute, passBucket } = open(buckets);
    const ample = perSecond(1e8);
    return filled(buckets, () => {
      passBucket();
      if (!absolute.inc("key", ample).allowed) throw new Error("rejected");
    });
  },

  "absolute, rejected"(buckets) {
    const { absolute, passBucket } = open(buckets);
    const exact = perSecond(1_000 / BUCKET_MS);
    filled(buckets, () => {
      passBucket();
      if (!absolute.inc("key", exact).allowed) throw new Error("rejected");
    });
    return () => {
      if (absolute.inc("key", exact).allowed) throw new Error("admitted");
    };
  },

  "absolute, rejected, calls of a quarter and of three quarters of the capacity in turn"(buckets) {
    const { absolute, passBucket } = open(buckets);
    const exact = perSecond(1_000 / BUCKET_MS);
    filled(buckets, () => {
      passBucket();
      if (!absolute.inc("key", exact).allowed) throw new Error("rejected");
    });
    const [light, heavy] = [Math.ceil(buckets / 4), Math.ceil((3 * buckets) / 4)];
    return () => {
      if (absolute.inc("key", exact, light).allowed || absolute.inc("key", exact, heavy).allowed)
        throw new Error("admitted");
    };
  },

  "suppressed, half as much again as the limit: one bucket comes, one goes"(buckets) {
    const { suppressed, passBucket } = open(buckets);
    const twoABucket = perSecond(2_000 / BUCKET_MS);
    return filled(buckets, () => {
      passBucket();
      suppressed.inc("key", twoABucket, 3);
    });
  },

  "absolute, given back and taken again"(buckets) {
    const { absolute, passBucket } = open(buckets);
    const exact = perSecond(1_000 / BUCKET_MS);
    const fill = () => {
      passBucket();
      absolute.inc("key", exact);
    };
    filled(buckets, fill);
    return () => {
      absolute.adjust("key", -1);
      if (!absolute.inc("key", exact).allowed) throw new Error("rejected");
    };
  },

  "suppressed, given back to below a history of denials"(buckets) {
    const { suppressed, passBucket } = open(buckets);
    const fill = () => {
      passBucket();
      suppressed.inc("key", perSecond(1_000 / BUCKET_MS), 1);
    };
    suppressed.inc("key", perSecond(1e9), 1e7);
    filled(buckets - 1, fill);
    return () => {
      suppressed.adjust("key", -1);
    };
  },
};

function filled(buckets: number, call: Call): Call {
  for (let bucket = 0; bucket < buckets; bucket++) call();
  return call;
}

export type FlatRow = readonly [kind: string, nanoseconds: readonly number[]];

function measure(make: (buckets: number) => Call): number[] {
  const calls = BUCKET_COUNTS.map(make);
  const times = calls.map((): number[] => []);
  for (let turn = 0; turn <= TURNS; turn++) {
    for (const [index, call] of calls.entries()) {
      const startMs = performance.now();
      for (let i = 0; i < CALLS_A_TURN; i++) call();
      if (turn > 0) times[index]!.push(((performance.now() - startMs) * 1e6) / CALLS_A_TURN);
    }
  }
  return times.map(median);
}

const rows: FlatRow[] = Object.entries(kinds).map(([kind, make]) => [kind, measure(make)]);
process.send?.(rows);
