-- Drops what has expired.
if total > 0 and newest_ms + window_ms <= now_ms then
  -- include forget
end
while oldest_count > 0 and oldest_ms + window_ms <= now_ms do
  changed = true
  total = total - oldest_count
  declined = declined - oldest_declined
  if seen > 0 then
    seen = seen - 1
  else
    recent = recent - oldest_count
  end
  local next = between > 0 and redis.call('LPOP', KEYS[2])
  if next then
    between = between - 1
    oldest_ms, oldest_count, oldest_declined = cmsgpack.unpack(next)
  else
    -- Also where the server evicted the list: what it held is forgotten.
    between, oldest_ms, oldest_count, oldest_declined = 0, newest_ms, 0, 0
    total, declined = newest_count, newest_declined
    if seen >= 0 then seen, recent = 0, newest_count end
  end
end
