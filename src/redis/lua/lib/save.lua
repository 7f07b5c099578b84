-- Stores what has changed, until the newest bucket expires.
if changed then
  local state
  if declined > 0 or factor_ms or seen then
    state = cmsgpack.pack(rate, total, between, oldest_ms, oldest_count, newest_ms, newest_count,
      declined, oldest_declined, newest_declined, factor, factor_ms, seen, recent)
  else
    state = cmsgpack.pack(rate, total, between, oldest_ms, oldest_count, newest_ms, newest_count)
  end
  if hit then
    redis.call('SET', KEYS[1], state, 'PX', ARGV[4])
  else
    redis.call('SET', KEYS[1], state, 'KEEPTTL')
  end
end
