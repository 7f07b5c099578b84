local function adjust(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  if window.total == 0 then return '0' end
  local delta = arguments.delta
  if delta >= 0 or -delta < window.newest_count - window.newest_declined then
    -- The newest bucket takes all of it and isn't empty then, so no other bucket need be read: the correction costs the
    -- same however many there are.
    if delta > 0 then delta = math.min(delta, MOST_TOTAL - window.total) end
    window.newest_count = window.newest_count + delta
    window.total = window.total + delta
    window.recent = window.recent + delta
    window.factor_ms, window.rest_changed = NEVER_MS, true
  else
    local buckets = read_buckets(window)
    local corrected = adjusted(buckets, delta)
    write_buckets(window, corrected)
  end
  save(window)
  return EXACT:format(window.total)
end
