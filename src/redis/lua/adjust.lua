-- Corrects usage, as adjusted in strategy/history.ts has it.
--   ARGV[3] the difference, a whole number
-- Replies with the new total; 0 for an unknown key, which stays unknown.
local clock_ms = ARGV[4]
-- include window
if total == 0 then return '0' end
local delta = ARGV[3] + 0

if delta >= 0 then
  delta = math.min(delta, 9007199254740991 - total)
  newest_count = newest_count + delta
  total = total + delta
  factor_ms, seen, hit = never_ms, -1, true
elseif newest_count - newest_declined > -delta then
  newest_count = newest_count + delta
  total = total + delta
  recent = recent + delta
  factor_ms, hit = never_ms, true
else
  -- include read_buckets
  local left = -delta
  for i = #buckets, 1, -1 do
    local taken = math.min(left, buckets[i][2] - buckets[i][3])
    left = left - taken
    buckets[i][2] = buckets[i][2] - taken
  end
  for i = #buckets, 1, -1 do
    local taken = math.min(left, buckets[i][2])
    left = left - taken
    buckets[i][2] = buckets[i][2] - taken
    buckets[i][3] = buckets[i][3] - taken
  end
  local kept = {}
  for _, bucket in ipairs(buckets) do
    if bucket[2] > 0 then kept[#kept + 1] = bucket end
  end
  buckets = kept
  -- include write_buckets
end
-- include save
return exact:format(total)
