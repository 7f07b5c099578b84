// Cases of the strategies' maths and of corrections as data: arguments and result. They are run against what Local does
// and what Redis does, so that the two can't part.

/** Hit time, count, declined. */
export type BucketVector = readonly [hitMs: number, count: number, declined: number];

const MAX = Number.MAX_SAFE_INTEGER;

/** Rate and window; the capacity, which may be below 1. */
export const CAPACITIES: readonly [rate: number, windowMs: number, capacity: number][] = [
  [0.1, 60_000, 6],
  [5.5, 1_000, 5],
  [1.9999, 1_000, 1],
  [0.1, 9_999, 0],
  [1 / 3, 3_000, 1],
  [7 / 86_400, 86_400_000, 7],
  [123_456_789_012_345, 1_000, 123_456_789_012_345],
  [2 ** 52 + 1, 1_000, 2 ** 52 + 1],
  [MAX, 1_000, MAX],
];

/** Time and width of a cell; where the cell starts. */
export const CELLS: readonly [ms: number, bucketMs: number, startMs: number][] = [
  [0, 10, 0],
  [9.999, 10, 0],
  [10, 10, 10],
  [-0.5, 10, -10],
  [7.4, 2.5, 5],
  [-307_633.8918636926, 999_999.9999645128, -999_999.9999645128],
  [1_700_000_000_123.456, 100, 1_700_000_000_100],
  [300 * (1 - Number.EPSILON / 2), 100, 200],
];

/** Count, hit time of the oldest bucket, width of a cell, recent span, present; the rate per second. */
export const RECENT_RATES: readonly [number, number, number, number, number, perSecond: number][] = [
  [30, 4_500, 100, 1_000, 5_400, 30],
  [30, 4_900, 1_000, 1_000, 5_500, 20],
  [7, 999, 1, 250, 1_000, 28],
];

/** Rate, observed total, window, recent rate; the factor. */
export const FACTORS: readonly [rate: number, observed: number, windowMs: number, recent: number, factor: number][] = [
  [100, 2_000, 10_000, 0, 0.5],
  [100, 1_000, 10_000, 400, 0.75],
  [100, 1_000, 10_000, 100, 0],
  [100, 0, 10_000, 0, 0],
  [3, 700, 1_000, 0, 1 - 3 / 700],
];

/** Buckets and a correction; the buckets after it. */
export const ADJUSTMENTS: readonly [BucketVector[], delta: number, BucketVector[]][] = [
  [[], 5, []],
  [[], -5, []],
  [[[1, 3, 1]], 2, [[1, 5, 1]]],
  [[[1, 3, 1]], 0, [[1, 3, 1]]],
  [[[1, 3, 1]], MAX, [[1, MAX, 1]]],
  [
    [
      [1, 3, 0],
      [2, 4, 1],
    ],
    -3,
    [
      [1, 3, 0],
      [2, 1, 1],
    ],
  ],
  [
    [
      [1, 3, 0],
      [2, 4, 1],
    ],
    -5,
    [
      [1, 1, 0],
      [2, 1, 1],
    ],
  ],
  [
    [
      [1, 3, 0],
      [2, 4, 1],
    ],
    -7,
    [],
  ],
  [
    [
      [1, 3, 2],
      [2, 4, 4],
    ],
    -3,
    [
      [1, 2, 2],
      [2, 2, 2],
    ],
  ],
  [[[1, 3, 2]], -100, []],
];

/** Buckets, the total to have, in which way, the present; the buckets that have it. */
export const TOTALS: readonly [
  BucketVector[],
  count: number,
  "replace" | "preserve-newest" | "preserve-oldest",
  nowMs: number,
  BucketVector[],
][] = [
  [[], 4, "preserve-oldest", 9, [[9, 4, 0]]],
  [[[1, 3, 1]], 0, "preserve-oldest", 9, []],
  [
    [
      [1, 6, 3],
      [2, 4, 2],
    ],
    5,
    "replace",
    9,
    [[9, 5, 2]],
  ],
  [
    [
      [1, 6, 3],
      [2, 4, 2],
    ],
    20,
    "replace",
    9,
    [[9, 20, 5]],
  ],
  [
    [
      [1, 6, 3],
      [2, 4, 2],
    ],
    5,
    "preserve-newest",
    9,
    [
      [1, 1, 0],
      [2, 4, 2],
    ],
  ],
  [
    [
      [1, 6, 3],
      [2, 4, 2],
    ],
    5,
    "preserve-oldest",
    9,
    [[1, 5, 2]],
  ],
  [
    [
      [1, 6, 3],
      [2, 4, 2],
    ],
    12,
    "preserve-newest",
    9,
    [
      [1, 6, 3],
      [2, 6, 2],
    ],
  ],
  [
    [
      [1, 6, 3],
      [2, 4, 2],
    ],
    12,
    "preserve-oldest",
    9,
    [
      [1, 8, 3],
      [2, 4, 2],
    ],
  ],
];
