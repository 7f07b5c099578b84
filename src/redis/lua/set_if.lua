local function set_if(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local previous = window.total
  local rate = arguments.rate
  if window.rate ~= rate then
    set_rate(window, rate)
    -- An unknown key has no state that could keep the rate.
    window.head_changed = previous > 0 or window.blocked_until_ms > NEVER_MS
  end
  local matched = meets(arguments.op, arguments.value, previous)
  if matched then
    if arguments.count == 0 then window.blocked_until_ms = NEVER_MS end
    set_total(window, arguments.count, arguments.history)
  end
  save(window)
  return reply({ matched = matched and 1 or 0, previous_total = EXACT:format(previous) })
end
