-- Sets the total if a condition on it holds, as withTotal in strategy/history.ts has it.
--   ARGV[3] the rate   ARGV[4] the operator   ARGV[5] what it compares with   ARGV[6] the new total
--   ARGV[7] the history
-- Replies with 1 or 0 for whether it held, and the total before.
local clock_ms = ARGV[8]
-- include window
local given_rate = ARGV[3] + 0
local op = ARGV[4]
local value = ARGV[5] + 0
local count = ARGV[6] + 0
local history = ARGV[7]
local previous = total

if rate ~= given_rate then
  rate, factor_ms, changed = given_rate, never_ms, total > 0
end
local matched = op == 'always' or (op == 'lt' and total < value) or (op == 'gt' and total > value)
  or (op == 'eq' and total == value) or (op == 'ne' and total ~= value)
if matched then
  -- include read_buckets
  -- Shrinks in proportion, rounded down.
  local function shrunk(part, from, to)
    return to >= from and part or math.floor(part * to / from)
  end
  local function take(bucket, amount)
    local taken = math.min(amount, bucket[2])
    local left = bucket[2] - taken
    bucket[3] = shrunk(bucket[3], bucket[2], left)
    bucket[2] = left
    return amount - taken
  end
  if count == 0 then
    buckets = {}
  elseif total == 0 or history == 'replace' then
    buckets = { { now_ms, count, shrunk(declined, total, count) } }
  elseif count >= total then
    local grown = history == 'preserve-newest' and buckets[#buckets] or buckets[1]
    grown[2] = grown[2] + count - total
  else
    local left = total - count
    local first, last, step = 1, #buckets, 1
    if history == 'preserve-oldest' then first, last, step = #buckets, 1, -1 end
    for i = first, last, step do left = take(buckets[i], left) end
    local kept = {}
    for _, bucket in ipairs(buckets) do
      if bucket[2] > 0 then kept[#kept + 1] = bucket end
    end
    buckets = kept
  end
  -- include write_buckets
end
-- include save
return { matched and 1 or 0, exact:format(previous) }
