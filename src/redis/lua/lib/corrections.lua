-- What ADJUST and SET_IF do to buckets, as in strategy/corrections.ts: oldest first in, oldest first out. The buckets
-- that are given may be changed.

-- The buckets after a correction by `delta`. More usage joins the newest bucket. A refund takes from the newest bucket
-- back: first what was accepted, because that is what a caller gives back, and only then what was declined.
local function adjusted(buckets, delta)
  local result = buckets
  if #buckets > 0 and delta >= 0 then
    result = grown(buckets, #buckets, delta)
  elseif delta < 0 then
    result = refunded(buckets, -delta)
  end
  return result
end

local function refunded(buckets, amount)
  local left = amount
  for i = #buckets, 1, -1 do
    local taken = math.min(left, buckets[i][COUNT] - buckets[i][DECLINED])
    left = left - taken
    buckets[i][COUNT] = buckets[i][COUNT] - taken
  end
  for i = #buckets, 1, -1 do
    local taken = math.min(left, buckets[i][COUNT])
    left = left - taken
    buckets[i][COUNT] = buckets[i][COUNT] - taken
    buckets[i][DECLINED] = buckets[i][DECLINED] - taken
  end
  local kept = without_empty(buckets)
  return kept
end

-- The buckets whose total is `count`, made from `buckets` in the way that `history` says.
local function with_total(buckets, count, history, now_ms)
  local total, declined = totals_of(buckets)
  local result
  if count == 0 then
    result = {}
  elseif total == 0 or history == 'replace' then
    local kept_declined = shrunk(declined, total, count)
    result = { { now_ms, count, kept_declined } }
  elseif count >= total then
    local changed = history == 'preserve-oldest' and 1 or #buckets
    result = grown(buckets, changed, count - total)
  else
    result = taken_from(buckets, total - count, history == 'preserve-oldest')
  end
  return result
end

-- Takes `amount` from the newest buckets or from the oldest. Their declined parts shrink in proportion.
local function taken_from(buckets, amount, takes_newest)
  local first, last, step = 1, #buckets, 1
  if takes_newest then first, last, step = #buckets, 1, -1 end
  local left = amount
  for i = first, last, step do
    local bucket = buckets[i]
    local count = bucket[COUNT] - math.min(left, bucket[COUNT])
    left = left - (bucket[COUNT] - count)
    bucket[DECLINED] = shrunk(bucket[DECLINED], bucket[COUNT], count)
    bucket[COUNT] = count
  end
  local kept = without_empty(buckets)
  return kept
end

-- Whether a total meets the condition of SET_IF.
local function meets(op, value, total)
  local is_less, is_more = op == 'lt' and total < value, op == 'gt' and total > value
  local is_equal, is_other = op == 'eq' and total == value, op == 'ne' and total ~= value
  return op == 'always' or is_less or is_more or is_equal or is_other
end

local function totals_of(buckets)
  local total, declined = 0, 0
  for _, bucket in ipairs(buckets) do
    total = total + bucket[COUNT]
    declined = declined + bucket[DECLINED]
  end
  return total, declined
end

local function grown(buckets, index, amount)
  local total = totals_of(buckets)
  buckets[index][COUNT] = buckets[index][COUNT] + math.min(amount, MOST_TOTAL - total)
  return buckets
end

-- `declined` of `from`, for a bucket that now counts `to`; rounded down, in the limit's favour. The product comes first
-- because it is exact, and then so is the floor of its quotient.
local function shrunk(declined, from, to)
  local part = declined
  if to < from then part = math.floor(declined * to / from) end
  return part
end

local function without_empty(buckets)
  local kept = {}
  for _, bucket in ipairs(buckets) do
    if bucket[COUNT] > 0 then kept[#kept + 1] = bucket end
  end
  return kept
end
