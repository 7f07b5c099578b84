local function adjust(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  if window.total == 0 then return '0' end
  local delta = arguments.delta
  if arguments.counted_ms ~= '' then
    local hit_ms = hit_time_of(window, arguments)
    give_back(window, -delta, hit_ms, arguments.declines)
  elseif delta >= 0 then
    window.factor_ms = NEVER_MS
    change_newest(window, math.min(delta, MOST_TOTAL - window.total), 0)
  else
    window.factor_ms = NEVER_MS
    refund(window, -delta)
  end
  save(window)
  return EXACT:format(window.total)
end

-- When what is given back was counted, by the key's time. While the clock is behind that, all hits are in the newest
-- bucket.
local function hit_time_of(window, arguments)
  local clock_ms = time_of_call(arguments)
  local hit_ms = arguments.counted_ms + window.offset_ms
  if clock_ms + window.offset_ms < window.newest_ms then hit_ms = window.newest_ms end
  return hit_ms
end
