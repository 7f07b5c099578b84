-- recent_per_second: the rate of the buckets that were hit within the recent span, over that span or, if
-- they reach back further, over all of it to where the oldest one's cell begins. The same as
-- recentPerSecond in strategy/suppressed.ts, and kept up to date as the store of Local does.
local recent_per_second = 0
local recent_ms = math.min(1000, window_ms)
if seen < 0 then
  seen, recent = 0, total
end
local recent_hit_ms
while total > 0 do
  local count
  if oldest_count == 0 or seen > between then
    recent_hit_ms = newest_ms
    break
  elseif seen == 0 then
    recent_hit_ms, count = oldest_ms, oldest_count
  else
    local bucket = redis.call('LINDEX', KEYS[2], seen - 1 - between)
    if not bucket then
      -- The server evicted the list.
      recent_hit_ms, seen, recent = newest_ms, between + 1, newest_count
      break
    end
    recent_hit_ms, count = cmsgpack.unpack(bucket)
  end
  if recent_hit_ms + recent_ms > now_ms then break end
  recent = recent - count
  seen = seen + 1
end
if total > 0 and recent_hit_ms + recent_ms > now_ms then
  local start_ms = math.floor(recent_hit_ms / bucket_ms) * bucket_ms
  if start_ms > recent_hit_ms then start_ms = start_ms - bucket_ms end
  recent_per_second = recent * 1000 / math.max(recent_ms, now_ms - start_ms)
end
