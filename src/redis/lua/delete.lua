local function delete(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local previous = window.total
  window.blocked_until_ms = 0
  forget(window)
  save(window)
  return EXACT:format(previous)
end
