-- Stores what has changed. To store all of it costs twice as much as a part of it, and to move the time at which Redis
-- forgets the key as much again: that is done once for a bucket.
if changed or hit then
  local latest
  if declined > 0 or seen >= 0 or factor_ms > never_ms or holders > 0 then
    latest = struct.pack('<dddddddddd', newest_ms, newest_count, total, oldest_declined, newest_declined, declined, seen,
      recent, factor, factor_ms)
    if holders > 0 then latest = latest .. struct.pack('<dddd', reserved, holders, first_gone_ms, last_gone_ms) end
  else
    latest = struct.pack('<ddd', newest_ms, newest_count, total)
  end
  if not changed and #latest + 32 == #state then
    redis.call('SETRANGE', KEYS[1], '32', latest)
  else
    state = struct.pack('<dddd', rate, between, oldest_ms, oldest_count) .. latest
    if keep_ms then
      redis.call('SET', KEYS[1], state, 'PX', keep_ms)
    else
      redis.call('SET', KEYS[1], state, 'KEEPTTL')
    end
  end
end
