local function adjust(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  if window.total == 0 then return '0' end
  local delta = arguments.delta
  window.factor_ms, window.rest_changed = NEVER_MS, true
  if delta >= 0 then
    change_newest(window, math.min(delta, MOST_TOTAL - window.total), 0)
  else
    refund(window, -delta)
  end
  save(window)
  return EXACT:format(window.total)
end
