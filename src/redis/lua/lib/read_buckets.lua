-- buckets: the live ones, oldest first, each { hit time, count, declined }.
local buckets = {}
if oldest_count > 0 then
  buckets[1] = { oldest_ms, oldest_count, oldest_declined }
  for _, bucket in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
    buckets[#buckets + 1] = { cmsgpack.unpack(bucket) }
  end
end
if total > 0 then
  buckets[#buckets + 1] = { newest_ms, newest_count, newest_declined }
end
