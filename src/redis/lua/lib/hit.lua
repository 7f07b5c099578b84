-- Counts `count` at the present time, of which `denied` was declined.
-- Totals are exact integers: they stop at the largest one, and what is declined at half of it, so that
-- there is always room for what is accepted to be counted.
if denied > 4503599627370496 - declined then
  count = count - denied
  denied = 4503599627370496 - declined
  count = count + denied
end
if count > 9007199254740991 - total then
  count = 9007199254740991 - total
  if denied > count then denied = count end
end
local cell_ms = math.floor(now_ms / bucket_ms) * bucket_ms
if cell_ms > now_ms then cell_ms = cell_ms - bucket_ms end
if total == 0 or newest_ms < cell_ms then
  -- include keep
  changed = true
  if oldest_count > 0 then
    between = between + 1
    local bucket = cmsgpack.pack(newest_ms, newest_count, newest_declined)
    if redis.call('RPUSH', KEYS[2], bucket) ~= between then
      -- The server evicted the state or the list without the other.
      redis.call('DEL', KEYS[2])
      redis.call('RPUSH', KEYS[2], bucket)
      between = 1
      total = oldest_count + newest_count
      declined = oldest_declined + newest_declined
      seen = -1
    end
    redis.call('PEXPIRE', KEYS[2], keep_ms)
  elseif total > 0 then
    oldest_ms, oldest_count, oldest_declined = newest_ms, newest_count, newest_declined
  end
  newest_count, newest_declined = 0, 0
end
newest_ms = now_ms
newest_count = newest_count + count
newest_declined = newest_declined + denied
total = total + count
declined = declined + denied
if oldest_count == 0 then oldest_ms = now_ms end
recent = recent + count
hit = true
