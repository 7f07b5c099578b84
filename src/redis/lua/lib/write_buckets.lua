-- Makes `buckets` the key's history; without any, forgets it.
if #buckets == 0 then
  -- include forget
else
  redis.call('DEL', KEYS[2])
  total, declined = 0, 0
  for _, bucket in ipairs(buckets) do
    total = total + bucket[2]
    declined = declined + bucket[3]
  end
  newest_ms, newest_count, newest_declined = unpack(buckets[#buckets])
  oldest_ms, oldest_count, oldest_declined = newest_ms, 0, 0
  if #buckets > 1 then
    oldest_ms, oldest_count, oldest_declined = unpack(buckets[1])
  end
  -- include keep
  between = math.max(0, #buckets - 2)
  for i = 2, #buckets - 1 do
    redis.call('RPUSH', KEYS[2], cmsgpack.pack(unpack(buckets[i])))
  end
  if between > 0 then
    redis.call('PEXPIRE', KEYS[2], keep_ms)
  end
  factor_ms, seen, changed = never_ms, -1, true
end
