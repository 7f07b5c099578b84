-- Forgets what was counted. What is leased may still be spent, so it stays taken.
if holders > 0 then
  redis.call('DEL', KEYS[2])
  changed = true
else
  redis.call('DEL', KEYS[1], KEYS[2])
  state, changed, hit = false, false, false
end
between, oldest_count, newest_count, total = 0, 0, 0, 0
oldest_declined, newest_declined, declined, seen, recent, factor_ms = 0, 0, 0, -1, 0, never_ms
