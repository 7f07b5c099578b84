// The one source of what the two languages agree on: what each script is given, what it replies, and how a key lies in
// Redis. `scripts/pack-lua.js` puts the names into the Lua and writes the types and the orders for TypeScript.
//
// Names are as Lua writes them; TypeScript has them in camelCase. The texts are the comments of the types.

/** An argument that is a number. Each `arguments.name` makes the number anew, at some 75 ns: keep it in a local. */
const number = (comment) => ({ kind: "number", comment });
/** A number that may be absent. Lua gets it as text, empty where it is absent. */
const optional = (comment) => ({ kind: "optional", comment });
const text = (comment) => ({ kind: "text", comment });
/** True or false; 1 or 0 on the way. */
const flag = (comment) => ({ kind: "flag", comment });

/**
 * The state of a key is a string of little-endian doubles, one for each field, in this order. They end after `newest`
 * while nothing is declined and nothing is leased (72 bytes), after `suppression` while nothing is leased (136 bytes),
 * after `leases` while the server's clock was not set back (176 bytes), after `clock` while the key isn't blocked (184
 * bytes), and else after `block` (192 bytes). Then come the inline buckets, those of `front` and those of `back`.
 * `head` comes first because a hit in the newest bucket leaves it as it is: such a hit overwrites what follows `head`,
 * which costs half of what it costs to set the whole string.
 */
export const STATE = {
  head: {
    rate: "the rate that was given last, per second",
    front: "how many inline buckets are right after the oldest bucket",
    chunks: "how many chunks come then: the length of the list of chunks",
    back: "how many inline buckets come then, right before the newest bucket",
    oldest_ms: "when the oldest bucket was hit last; not kept up to date while there is only one bucket",
    oldest_count: "what the oldest bucket counts; 0 while there is only one bucket, which is the newest",
  },
  newest: {
    newest_ms: "when the newest bucket was hit last",
    newest_count: "what the newest bucket counts",
    total: "what all live buckets count together; 0 if nothing of the key is live",
  },
  suppression: {
    oldest_declined: "the declined part of the oldest bucket; 0 while there is only one bucket",
    newest_declined: "the declined part of the newest bucket",
    barren_before: "how many chunks at the end of the list are known to have nothing accepted",
    declined: "the declined part of the total",
    seen: "how many buckets, from the oldest on, have left the recent span; -1 until the recent rate is needed",
    recent: "what the other buckets count; means nothing while `seen` is -1",
    factor: "the suppression factor that was computed last",
    factor_ms: "when it was computed; -Infinity for never",
  },
  leases: {
    reserved: "what the processes that have leases may still spend, together",
    headroom: "suppressed: what they may still admit above the capacity, together",
    lease_count: "how many processes have a lease",
    first_gone_ms: "when the first of the leases no longer counts as used",
    last_gone_ms: "when the last of the leases no longer counts as used",
  },
  clock: {
    offset_ms: "how far the key's time is ahead of the server's clock, because that was set back; else 0",
  },
  block: {
    blocked_until_ms: "until when every call is rejected; -Infinity for a key that isn't blocked",
  },
};

/** What a window has in Lua besides the fields of its state. Only `inline` is stored. */
export const WINDOW = {
  inline: "the inline buckets as they are stored",
  state_key: "the Redis key of the state",
  buckets_key: "the Redis key of the list of chunks",
  window_ms: "how long a hit counts",
  bucket_ms: "how wide a cell of the time grid is",
  now_ms: "the time of the call, by the key's time, as all times that are stored: the clock's time and `offset_ms`",
  has_callers_clock: "whether the caller gave the time",
  cell_ms: "where the cell of the time grid begins that has `now_ms`",
  span_start_ms: "where the span begins that has `now_ms`, of those for which Redis keeps a key (see `keep_span`)",
  stored_bytes: "how long the stored state is; 0 for none",
  head_changed: "whether anything differs from the stored state",
  rest_changed: "whether anything after the head differs from it",
  keep_ms: "how long Redis has to keep the key from now on; nil if that is to stay as it is",
  simple_keep_ms: "the same for a key that has nothing but buckets, as text (see lib/simple.lua)",
  is_list_sound: "takes: whether the list of chunks is known to be a list, or not to be there",
};

/** What the takes of a script have in common, in Lua. */
export const TAKES = {
  keys: "the names of Redis keys: those of all states, and then those of all lists",
  key_count: "how many keys there are",
  states: "the states, by key; false for an unknown one, and WHOLE where the window is a whole one",
  kept: "how to store a state that has changed and isn't stored yet, by key (see `save_state`)",
  windows: "the whole windows, by key",
  decide_from: "the function of that name, which calls itself",
  plan: "the plan, and the terms of the asks; where all takes are plain, the text of these (see BATCHED)",
  is_plain: "whether all takes are plain, and given without a plan",
  at: "where the plan has the run of takes that is decided",
  last: "where the plan ends",
  is_last: "whether that run is the last one",
  done: "how many takes of the run are decided",
  left: "how many aren't",
  at_once: "how many of these are decided next",
  size: "how many asks each of them has",
  now_ms: "their time",
  has_callers_clock: "whether callers gave it",
  times_read: "how many times of runs were read",
  replies: "what asks are replied, in their order",
  replied: "how many asks have their reply",
  admitted: "for each ask of the take that is decided, whether it is admitted by its limit",
  factors: "for each ask of a suppressed limit, the factor that it meets",
  failing: "the key of the ask at which the take fails, if it fails",
  counted: "how many asks of the take are counted",
};

/** A bucket: little-endian doubles. A refund may empty one in the middle, which then stays, with a count of 0. */
export const BUCKET = {
  hit_ms: "when the bucket was hit last",
  count: "what it counts",
  declined: "the declined part of that",
};

/**
 * A chunk: an entry of the list of chunks. To list a bucket and to drop it from the list are two commands, and a list
 * is one more Redis key. So the list has BUCKETS_OF_CHUNK buckets in each entry, and those that are too few for a chunk
 * are *inline*: in the state. Most keys never have more. A chunk is packed by cmsgpack, which takes half the bytes:
 * first these numbers, then those of its buckets, and a number that is in no text: see `read_chunk`.
 */
export const CHUNK = {
  listed: "what all buckets together count that were ever listed, up to this chunk and with it, modulo 2^53",
  barren_before: "how many chunks right before it are known to have nothing accepted",
};

/** A lease: a value of the hash of leases, a string of little-endian doubles. The hash's field is the process. */
export const LEASE = {
  last_report: "the number of the last report of the process that was counted",
  counted: "what was counted for the calls that waited, under that number; 0 if it is the number of the report itself",
  held: "what the process may still spend",
  headroom: "suppressed: what the process may still admit above the capacity",
  gone_ms: "when that no longer counts as used",
};

/** What kind of run takes are (see BATCHED). */
export const RUN_KINDS = {
  /** They are the same. Each ask is of an absolute limit, and has a key of its own, so the takes may be simple. */
  alike: 0,
  /** The same, but some of the keys are other ones in each take. */
  row: 1,
  /** They are the same, and not simple. */
  other: 2,
  /** They are the same, and parts of them that are in other slots were denied. */
  denied_elsewhere: 3,
};

/**
 * How plain takes are given whole numbers (see BATCHED): in digits to this base, the first one counting most. A digit
 * is a character of ASCII, from `zero` on. `counts` says how many digits each number of an ask has, in their order. To
 * have one digit more in each ask costs a take of three limits 350 instructions, and nearly all limits need no more.
 */
export const DIGITS = { base: 90, zero: 35, counts: { window_ms: 5, bucket_ms: 4, count: 3, limit: 5 } };

/** Written in capitals in the Lua. */
export const CONSTANTS = {
  ...Object.fromEntries(Object.entries(RUN_KINDS).map(([kind, number]) => [kind.toUpperCase(), String(number)])),
  NEVER_MS: "-1e999",
  /** The rate of a key that is only blocked. */
  NO_RATE: "0",
  BUCKETS_OF_CHUNK: "8",
  MOST_TOTAL: "9007199254740991",
  MOST_DECLINED: "4503599627370496",
  /** Up to here a reply in Lua's integers is exact, whatever the client makes of it. */
  MOST_INTEGER: "1e15",
  /** What plain takes begin with: so much more than this as there are takes; and where there is one. */
  ZERO: String(DIGITS.zero),
  ONE_PLAIN: String(DIGITS.zero + 1),
  /** The character `[`. */
  START_OF_JSON: "91",
  /** In place of the state of a key whose window is a whole one: no simple take finds its state in it. */
  WHOLE: "''",
  /** Text from which every double is read back as it was. */
  EXACT: "'%.17g'",
};

const STATE_AND_BUCKETS = ["state", "buckets"];

export const COMMANDS = {
  absolute_inc: {
    comment: "Decides about a call under the absolute strategy, and counts it if it is admitted.",
    keys: STATE_AND_BUCKETS,
    arguments: {
      count: number("the weight of the call"),
      limit: number("the capacity"),
      rate: number("the key's rate from now on"),
    },
    ownOfCall: 0,
    /** For a denied call. `admission_as_replied` says what others are replied, and `block_as_replied` for a block. */
    reply: {
      used: "what is used of the capacity: counts and leases",
      wait: "how long until enough has expired, as `time_as_replied` makes it; -1 for a count above the capacity",
      freed: "how much has expired then",
      more_ms: "how long until the oldest bucket expires, in whole ms",
    },
  },
  suppressed_inc: {
    comment: "Decides about a call under the suppressed strategy, and counts it.",
    keys: STATE_AND_BUCKETS,
    arguments: {
      count: number("the weight of the call"),
      limit: number("the capacity"),
      rate: number("the key's rate from now on"),
      hard_limit: number("the most accepted usage"),
      suppression_cache_ms: number("how long a factor is used"),
      draw: number("a random number from [0, 1); not used where the factor is 0 or 1 by rule"),
    },
    ownOfCall: 1,
    /** For a call above the capacity. `admission_as_replied` and `block_as_replied` say what others are replied. */
    reply: {
      admitted: "1 or 0",
      accepted: "the accepted usage before the call, with leases",
      scaled_factor: "the factor times 2^53",
      wait: "how long until the oldest bucket expires, as `time_as_replied` makes it",
      oldest_accepted: "the accepted usage of that bucket",
    },
  },
  peek: {
    comment: "Tells what a key has used, and what a call to it would meet. Counts nothing.",
    keys: STATE_AND_BUCKETS,
    arguments: {
      count: number("the weight of the call"),
      sheds: flag(
        "whether the strategy is the suppressed one: then a call that doesn't fit meets a factor, else a wait",
      ),
      rate: optional("the rate to judge the call by; absent for the key's own"),
    },
    /** For a known key, or one that is blocked. Any other is replied with 0. */
    reply: {
      rate: "the rate the call is judged by",
      total: "what is counted",
      declined: "the declined part of that",
      wait_ms: "how long until enough has expired for the call; 0 if it meets none",
      freed: "how much has expired then",
      oldest_expires_in_ms:
        "how long until the oldest bucket expires; until the last lease does, if there is no bucket",
      oldest_expires_with_hit_in_ms: "how long the oldest bucket would live with a hit now",
      oldest_accepted: "the accepted usage of the oldest bucket",
      recent_per_second: "the observed rate of the recent span; 0 if the call meets no factor",
      kept_factor: "the factor that was computed last",
      kept_factor_age_ms: "how long ago that was; Infinity for never",
      leased: "what hybrid processes have leased",
      blocked_ms: "how long the key is still blocked; 0 if it isn't",
    },
  },
  give_rate: {
    comment: "Gives a key a rate. Replies with the rate before; 0 for an unknown key, which stays unknown.",
    keys: STATE_AND_BUCKETS,
    arguments: { rate: number("the key's rate from now on") },
  },
  block: {
    comment: "Blocks a key from now on.",
    keys: STATE_AND_BUCKETS,
    arguments: { ms: number("for how long") },
  },
  unblock: {
    comment: "Ends the block of a key, if it is blocked.",
    keys: STATE_AND_BUCKETS,
    arguments: {},
  },
  adjust: {
    comment: "Corrects what a key has used. Replies with the new total; 0 for an unknown key, which stays unknown.",
    keys: STATE_AND_BUCKETS,
    arguments: {
      delta: number("what to add, a whole number"),
      counted_ms: optional(
        "when a take counted what it gives back, by the clock; absent for a correction of the newest history",
      ),
      declines: flag("whether what a take gives back counts as declined from now on"),
    },
  },
  set_if: {
    comment: "Sets the total of a key if a condition on it holds.",
    keys: STATE_AND_BUCKETS,
    arguments: {
      rate: number("the key's rate from now on"),
      op: text("how the total is compared: lt, gt, eq, ne or always"),
      value: number("what it is compared with"),
      count: number("the new total"),
      history: text("which buckets have it: replace, preserve-newest or preserve-oldest"),
    },
    reply: {
      matched: "1 or 0 for whether the condition held",
      previous_total: "the total before",
    },
  },
  delete: {
    comment: "Forgets what a key has used. Replies with the total that it had.",
    keys: STATE_AND_BUCKETS,
    arguments: {},
  },
  sync: {
    comment: "Takes the report of a hybrid process about one key, and gives the process a new lease.",
    keys: [...STATE_AND_BUCKETS, "leases"],
    arguments: {
      rate: number("the rate that the process knows"),
      rate_is_new: flag("whether a caller gave it since the last report; else the key keeps the rate it has"),
      limit: number("the capacity at that rate"),
      process: text("what tells the process from others"),
      lease_ms: number("how long a lease is set aside, which is a little longer than it may be spent"),
      held: number("how much of its lease the process keeps"),
      held_headroom: number("how much of its headroom the process keeps"),
      asked: number("the count of the first call that waits; 0 for none"),
      needed: number("the counts of all calls that wait, together"),
      is_alike: flag("whether calls wait, and all of them have the count of the first"),
      wanted: number("how much more the process would like"),
      wanted_headroom: number("how much more headroom it would like"),
      suppression_cache_ms: optional("how long a factor is used; absent under the absolute strategy"),
      hard_limit: optional("the most accepted usage; absent under the absolute strategy"),
      report: number("the number of this report; the next number is that of what is counted for the calls that wait"),
    },
    /** A list. Its length is the argument `hits` in Lua, and `arguments[FIRST_HIT + HIT_COUNT]` is its first count. */
    repeated: {
      name: "hit",
      comment: "hits that Redis has not confirmed yet",
      fields: {
        report: number("the number of the report that brought the hit first"),
        age_ms: number("how long ago it was, when the report was sent"),
        count: number("what it counts"),
        declined: number("the declined part of that"),
      },
    },
    reply: {
      counted: "what was counted for the calls that wait: all that they need, nothing, or if alike for as many as fit",
      granted: "the lease's growth: for the calls that wait where not all of them fit, and for later ones",
      total: "what is counted then",
      declined: "the declined part of that",
      leased_by_others: "what other processes have leased",
      buckets: "how many buckets there are: 0, 1, 2, or 3 for more",
      first_expires_in_ms: "how long until the oldest bucket expires",
      first_accepted: "its accepted usage",
      second_expires_in_ms: "how long until the next bucket expires",
      second_accepted: "its accepted usage",
      wait_ms: "absolute: how long until enough has expired for the first call not counted; 0 if it need not wait",
      freed: "how much has expired then",
      factor: "suppressed: the factor that the first call meets for which nothing was counted",
      factor_left_ms: "how long it may be used; -1 for no factor",
      granted_headroom: "suppressed: the growth of the headroom, for calls that wait and for later ones",
      free_headroom: "what is neither used nor set aside under the hard limit then; -1 if no hard limit was given",
      blocked_ms: "how long the key is still blocked; 0 if it isn't. Then nothing is counted or granted",
    },
  },
};

/**
 * The commands whose calls `batch.lua` decides, many in one script. ARGV has two texts of JSON, because each argument
 * costs Redis 0.1 µs and the client several times that:
 *
 *   terms: a list of what calls can have in common. Each is a list of a command's arguments, without the last
 *     `ownOfCall`. In Lua `terms.limit` is one of them. The absolute strategy has no `terms.hard_limit`
 *   plan: a list of numbers: 1 where the callers have clocks of their own, else 0 · stretches …
 *   stretch, neighbouring keys that are called alike: how many keys · how many runs each has · runs … · own numbers of
 *     each call
 *   run, calls to one key that have the same terms: which terms, from 1 on · how many calls
 *   own numbers of a call: the command's last `ownOfCall` arguments · the caller's time, where callers have clocks
 *
 * KEYS has two names for each key, in the order of the keys. The reply is a list of the calls' replies, in the order of
 * the plan. Each is what the command replies to a single call; or 0, for the same as the call before; or `!` and after
 * it what failed.
 *
 * `take.lua` is given terms and a plan as one list of numbers, because a list of lists takes Redis twice as long to
 * read. KEYS has the names of all states and then those of all lists of chunks, for each key once, however many asks it
 * has. Where callers have clocks, ARGV has the times of the runs after the list. Where they don't, an empty text there
 * asks for the server's time:
 *
 *   list: where the first run is, from 1 on · terms … · runs …
 *   terms: the same as above, and as many for each ask. The absolute strategy has 0 for the hard limit and the time of
 *     the cache. The count may be 0. In Lua `terms.limit` is one of them
 *   run, takes in a row that ask alike: how many takes · how many asks each has · which of RUN_KINDS · asks …
 *   ask: which key, from 1 on · by how much that grows from take to take · where its terms are: the place before them ·
 *     for how long a denial blocks in ms, or the draw of a suppressed limit
 *
 * Each number costs Redis some 1 000 instructions, and a take of three limits that is alone 90 000. So takes have no
 * list where they are *plain*: all of them are the same, may be simple and block nobody, and each rate is that of the
 * limit, `limit * 1000 / window_ms`. In place of the list is a text of whole numbers, each of which has as many digits
 * as DIGITS says. It costs 500 instructions to read one, any client can send it, and no such text begins as JSON does:
 *
 *   text: how many takes, in one digit · asks …, in the order of KEYS
 *   ask: the length of the window · that of a bucket · the count · the limit
 *
 * The reply is a list of the replies to all asks of all takes, and at last the time, as text, where that is asked for.
 * Where a take failed, each of its replies is `!` and what failed.
 */
export const BATCHED = Object.keys(COMMANDS).filter((name) => COMMANDS[name].ownOfCall !== undefined);
