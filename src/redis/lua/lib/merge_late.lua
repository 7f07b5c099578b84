-- Puts `late` hits, each { time, count, declined }, where they belong among the buckets.
-- include read_buckets
for _, bucket in ipairs(late) do buckets[#buckets + 1] = bucket end
table.sort(buckets, function(a, b) return a[1] < b[1] end)
local merged = {}
for _, bucket in ipairs(buckets) do
  local before = merged[#merged]
  if before and math.floor(before[1] / bucket_ms) == math.floor(bucket[1] / bucket_ms) then
    before[1], before[2], before[3] = bucket[1], before[2] + bucket[2], before[3] + bucket[3]
  else
    merged[#merged + 1] = bucket
  end
end
buckets = merged
-- include write_buckets
