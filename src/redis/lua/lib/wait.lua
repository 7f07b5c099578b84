-- wait_ms: how long until the oldest buckets that hold `missing` together have expired, or all that there are where
-- leases take the rest. freed: how much has expired then.
local wait_ms, freed = last_gone_ms - now_ms, reserved
if total > 0 then
  wait_ms = (oldest_count > 0 and oldest_ms or newest_ms) + window_ms - now_ms
  freed = oldest_count > 0 and oldest_count or newest_count
end
local from = 0
while total > 0 and freed < missing do
  local chunk = from < between and redis.call('LRANGE', KEYS[2], from, from + 99) or {}
  for _, bucket in ipairs(chunk) do
    local hit_ms, count = cmsgpack.unpack(bucket)
    freed = freed + count
    wait_ms = hit_ms + window_ms - now_ms
    if freed >= missing then break end
  end
  from = from + 100
  if freed < missing and from >= between then
    if oldest_count > 0 then
      freed = freed + newest_count
      wait_ms = newest_ms + window_ms - now_ms
    end
    break
  end
end
