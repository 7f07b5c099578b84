local function delete(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local previous = window.total
  window.blocked_until_ms = NEVER_MS
  forget(window)
  save(window)
  return EXACT:format(previous)
end
