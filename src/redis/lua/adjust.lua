local function adjust(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  if window.total == 0 then return '0' end
  local delta = arguments.delta
  window.rest_changed = true
  if arguments.declines then
    -- No more than was accepted, which may have expired. The factor stays, because as much is observed as before.
    local declined = math.min(-delta, window.total - window.declined)
    delta = -declined
    declined = math.min(declined, MOST_DECLINED - window.declined, MOST_TOTAL - window.total)
    change_newest(window, declined, declined)
  else
    window.factor_ms = NEVER_MS
  end
  if delta >= 0 then
    change_newest(window, math.min(delta, MOST_TOTAL - window.total), 0)
  else
    refund(window, -delta)
  end
  save(window)
  return EXACT:format(window.total)
end
